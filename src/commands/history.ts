import type { ImageStep } from '../../builder/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { chosenForm, formatOption } from '../listing-options.ts'
import { formatAge, formatBytes, printableLine, shortId } from '../render/format.ts'
import type { ListingRow } from '../render/template.ts'
import { formatListing } from '../render/template.ts'

const shownWidth = 60
const headings: ListingRow = { ID: 'IMAGE', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT', CreatedBy: 'CREATED BY', Size: 'SIZE', Inodes: 'INODES', Comment: 'COMMENT' }
const tableFormat = 'table {{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Inodes}}\t{{.Comment}}'

export const historyCommand: CommandSpec = {
  name: 'history',
  operands: 'IMAGE | builds | show BUILD | logs BUILD [STEP] | rerun BUILD',
  minOperands: 1,
  maxOperands: 3,
  summary: 'Show the steps an image was made by, the newest first, with what each layer takes; or what is kept of builds: list them, show one, its log or that of a step, run it again',
  options: [
    { name: 'quiet', short: 'q', help: 'Print only ids' },
    { name: 'no-trunc', help: 'Do not shorten the steps, nor the image\'s id' },
    formatOption(headings),
    { name: 'json', help: 'Print JSON; for builds and show too' },
  ],
  examples: ['tsbuild history app:1', "tsbuild history --format '{{.Size}} {{.CreatedBy}}' app:1", 'tsbuild history builds', 'tsbuild history logs latest', 'tsbuild history rerun 4f2a'],
  run: runHistory,
}

async function runHistory(input: CommandInput, app: App): Promise<number> {
  const [first = '', build, step] = input.operands
  const isOfBuilds = build !== undefined || first === 'builds'
  for (const option of ['quiet', 'no-trunc', 'format']) if (isOfBuilds && input.options.has(option)) throw new UsageError(`option --${option} is for the steps of an image, not for "tsbuild history ${first}"`, 'history')
  if (build === undefined) return isOfBuilds ? (await import('./build-records.ts')).listRecords(input, app) : showHistory(input, app)
  if (first !== 'show' && input.options.has('json')) throw new UsageError(`option --json is for an image, builds and show, not for "tsbuild history ${first}"`, 'history')
  const records = await import('./build-records.ts')
  if (first === 'logs') return records.showLogs(build, step, app)
  if (step !== undefined) throw new UsageError(`"tsbuild history ${first}" takes one build, not also "${step}"`, 'history')
  if (first === 'show') return records.showRecord(build, input, app)
  if (first === 'rerun') return records.rerunBuild(build, app)
  throw new UsageError(`"tsbuild history" takes an image, or builds, show, logs or rerun, not "${first} ${build}"`, 'history')
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
