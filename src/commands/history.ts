import type { ImageStep } from '../../builder/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { chosenForm, formatOption } from '../listing-options.ts'
import { formatAge, formatBytes, printableLine, shortId } from '../render/format.ts'
import type { ListingRow } from '../render/template.ts'
import { formatListing } from '../render/template.ts'

const shownWidth = 60
const headings: ListingRow = { ID: 'IMAGE', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT', CreatedBy: 'CREATED BY', Size: 'SIZE', Inodes: 'INODES', Comment: 'COMMENT' }
const tableFormat = 'table {{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Inodes}}\t{{.Comment}}'

export const historyCommand: CommandSpec = {
  name: 'history',
  operands: 'IMAGE | builds | show [BUILD] | logs [BUILD [STEP]] | rerun [BUILD]',
  minOperands: 1,
  maxOperands: 3,
  summary: 'Show the steps an image was made by, the newest first, with what each layer takes; or what is kept of builds: list them, show one, its log or that of a step, run it again. BUILD is an id, the beginning of one, or latest, which is the default',
  options: [
    { name: 'quiet', short: 'q', help: 'Print only ids' },
    { name: 'no-trunc', help: 'Do not shorten the steps, nor the image\'s id' },
    { ...formatOption(headings), help: `${formatOption(headings).help}; of builds .ID, .Started, .Took, .Outcome, .Steps, .Cached, .Image, .What` },
    { name: 'json', help: 'Print JSON; for builds and show too' },
  ],
  foreignOptions: foreignOptions.history,
  examples: ['tsbuild history app:1', "tsbuild history --format '{{.Size}} {{.CreatedBy}}' app:1", 'tsbuild history builds', "tsbuild history builds --format '{{.ID}} {{.Outcome}} {{.What}}'", 'tsbuild history logs', 'tsbuild history rerun 4f2a'],
  run: runHistory,
}

/** What follows `history` when it is no image: how many operands at most, and which options. */
const buildWords: Readonly<Record<string, { readonly operands: number; readonly options: readonly string[] }>> = {
  builds: { operands: 1, options: ['quiet', 'format', 'json'] },
  ls: { operands: 1, options: ['quiet', 'format', 'json'] },
  show: { operands: 2, options: ['json'] },
  inspect: { operands: 2, options: ['json'] },
  logs: { operands: 3, options: [] },
  rerun: { operands: 2, options: [] },
}

async function runHistory(input: CommandInput, app: App): Promise<number> {
  const { operands: [word = '', build = 'latest', step], options } = input
  const takes = Object.hasOwn(buildWords, word) ? buildWords[word] : undefined
  const tooMany = input.operands[takes?.operands ?? 1]
  if (tooMany !== undefined) throw new UsageError(`"tsbuild history ${word}" takes no "${tooMany}": there are an image, builds, show, logs and rerun`, 'history')
  if (takes === undefined) return showHistory(input, app)
  const wrong = historyCommand.options.find(({ name }) => options.has(name) && !takes.options.includes(name))
  if (wrong !== undefined) throw new UsageError(`option --${wrong.name} is not for "tsbuild history ${word}"`, 'history')
  const records = await import('./build-records.ts')
  switch (word) {
    case 'logs': return records.showLogs(build, step, app)
    case 'rerun': return records.rerunBuild(build, app)
    case 'show':
    case 'inspect': return records.showRecord(build, input, app)
    default: return records.listRecords(input, app)
  }
}

async function showHistory({ operands: [name = ''], options }: CommandInput, app: App): Promise<number> {
  const form = chosenForm(options)
  const { findImage, imageSteps } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const image = findImage(engine.store, name)
  const newestFirst = (await imageSteps(engine.store, image)).reverse()
  const isWhole = options.has('no-trunc')
  if (form === 'json') app.print(JSON.stringify(newestFirst))
  else for (const line of formatListing(form === 'quiet' ? '{{.ID}}' : options.text('format') ?? tableFormat, newestFirst.map((step, index) => listingRow(step, { id: index === 0 ? image.id : undefined, isWhole })), headings)) app.print(line)
  return 0
}

/** The newest step alone made the image. */
function listingRow({ created, createdBy, sizeBytes, inodes, comment }: ImageStep, { id, isWhole }: { readonly id: string | undefined; readonly isWhole: boolean }): ListingRow {
  return {
    ID: id === undefined ? '<missing>' : isWhole ? id : shortId(id),
    CreatedSince: created === undefined ? 'N/A' : formatAge(Date.now() - Date.parse(created)),
    CreatedAt: created ?? 'N/A',
    CreatedBy: shorten(createdBy, isWhole),
    Size: formatBytes(sizeBytes), Inodes: String(inodes), Comment: printableLine(comment),
  }
}

function shorten(text: string, isWhole: boolean): string {
  const line = printableLine(text.replaceAll(/\s+/gu, ' '))
  return isWhole || line.length <= shownWidth ? line : `${line.slice(0, shownWidth - 1)}…`
}
