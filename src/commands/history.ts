import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { formatAge, formatBytes, printable, shortId } from '../render/format.ts'
import type { ListingRow } from '../render/template.ts'
import { formatListing } from '../render/template.ts'

const shownWidth = 60

export const historyCommand: CommandSpec = {
  name: 'history',
  operands: 'IMAGE | builds | show [BUILD] | logs [BUILD [STEP]] | rerun [BUILD]',
  minOperands: 1,
  maxOperands: 3,
  summary: 'Show the steps an image was made by, the newest first, with what each layer takes; or what is kept of builds: list them, show one, its log or that of a step, run it again. BUILD is an id, the beginning of one, or latest, which is the default',
  options: [
    { name: 'no-trunc', help: 'Do not shorten the steps' },
    { name: 'quiet', short: 'q', help: 'Print ids only: those of builds, or of the image and <missing> for its earlier steps' },
    { name: 'format', value: 'FORMAT', help: 'json, or a template of .ID, .CreatedSince, .CreatedAt, .CreatedBy, .Size, .Inodes, .Comment; of builds .ID, .Started, .Took, .Outcome, .Steps, .Cached, .Image, .What; "table TEMPLATE" for columns' },
    { name: 'json', help: 'Print JSON' },
  ],
  examples: ['tsbuild history app:1', 'tsbuild history builds', 'tsbuild history logs', 'tsbuild history rerun 4f2a', "tsbuild history builds --format '{{.ID}} {{.Outcome}} {{.What}}'"],
  run: runHistory,
}

const buildWords = ['builds', 'ls', 'show', 'inspect', 'logs', 'rerun'] as const

async function runHistory(input: CommandInput, app: App): Promise<number> {
  const [first = '', build = 'latest', step] = input.operands
  const word = buildWords.find((known) => known === first)
  checkCount(input.operands, word)
  if (word === undefined) return showHistory(input, app)
  const records = await import('./build-records.ts')
  switch (word) {
    case 'builds':
    case 'ls': return records.listRecords(input, app)
    case 'show':
    case 'inspect': return records.showRecord(build, input, app)
    case 'logs': return records.showLogs(build, step, app)
    case 'rerun': return records.rerunBuild(build, app)
  }
}

function checkCount(operands: readonly string[], word: (typeof buildWords)[number] | undefined): void {
  const most = word === 'logs' ? 3 : word === undefined || word === 'builds' || word === 'ls' ? 1 : 2
  const tooMany = operands[most]
  if (tooMany !== undefined) throw new UsageError(`"tsbuild history ${word ?? 'IMAGE'}" takes no "${tooMany}"; there are IMAGE, builds, show, logs and rerun`, 'history')
}

const headings: ListingRow = { ID: 'IMAGE', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT', CreatedBy: 'CREATED BY', Size: 'SIZE', Inodes: 'INODES', Comment: 'COMMENT' }
const tableFormat = 'table {{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Inodes}}\t{{.Comment}}'

async function showHistory({ operands: [name = ''], options }: CommandInput, app: App): Promise<number> {
  const { findImage, imageSteps } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const image = findImage(engine.store, name)
  const newestFirst = [...await imageSteps(engine.store, image)].reverse()
  if (options.has('json')) {
    app.print(JSON.stringify(newestFirst))
    return 0
  }
  const isWhole = options.has('no-trunc')
  const now = Date.now()
  const rows = newestFirst.map((step, index): ListingRow => ({
    // As Docker has it: only the last step made an image.
    ID: index > 0 ? '<missing>' : isWhole ? image.id : shortId(image.id),
    CreatedSince: step.created === undefined ? 'N/A' : formatAge(now - Date.parse(step.created)), CreatedAt: step.created ?? 'N/A',
    CreatedBy: shorten(printable(step.createdBy), isWhole), Size: formatBytes(step.sizeBytes), Inodes: String(step.inodes), Comment: step.comment,
  }))
  for (const line of formatListing(options.has('quiet') ? '{{.ID}}' : options.text('format') ?? tableFormat, rows, headings)) app.print(line)
  return 0
}

function shorten(text: string, isWhole: boolean): string {
  const line = text.replaceAll(/\s+/gu, ' ')
  return isWhole || line.length <= shownWidth ? line : `${line.slice(0, shownWidth - 1)}…`
}
