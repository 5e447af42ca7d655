import type { BuildRecord } from '../../builder/index.ts'
import { BuildProgress, defaultRoot, fromWire, getBuild, listBuilds, readBuildEvents } from '../../builder/index.ts'
import type { App } from '../app.ts'
import { parseArguments } from '../arguments.ts'
import type { CommandInput } from '../command.ts'
import { UsageError } from '../errors.ts'
import { chosenForm } from '../listing-options.ts'
import { withoutManagementWord } from '../management-words.ts'
import { formatAge, formatCommand, formatElapsed, printable, shorten, shortId } from '../render/format.ts'
import { PlainRenderer } from '../render/plain.ts'
import { summarize } from '../render/summary.ts'
import type { ListingRow } from '../render/template.ts'
import { formatListing } from '../render/template.ts'
import { symbolsFor, unstyled } from '../render/tree/style.ts'
import { stepLine } from '../render/tree/tree-items.ts'
import { buildCommand } from './build.ts'

const plainColumns = 120

const headings: ListingRow = { ID: 'BUILD', Started: 'STARTED', Took: 'TOOK', Outcome: 'OUTCOME', Steps: 'STEPS', Cached: 'CACHED', Image: 'IMAGE', What: 'WHAT' }
const tableFormat = 'table {{.ID}}\t{{.Started}}\t{{.Took}}\t{{.Outcome}}\t{{.Steps}}\t{{.Cached}}\t{{.Image}}\t{{.What}}'

export function listRecords({ options }: CommandInput, app: App): number {
  const form = chosenForm(options)
  const records = listBuilds(defaultRoot(app.env))
  if (form === 'json') {
    app.print(JSON.stringify(records))
    return 0
  }
  const now = Date.now()
  const rows = records.map((record): ListingRow => ({
    ID: record.id, Started: formatAge(now - record.startedAtMs), Took: record.endedAtMs === undefined ? '' : formatElapsed(record.endedAtMs - record.startedAtMs), Outcome: record.outcome,
    Steps: String(record.steps.total), Cached: String(record.steps.cached), Image: record.image === undefined ? '' : shortId(record.image), What: printable(record.title),
  }))
  for (const line of formatListing(form === 'quiet' ? '{{.ID}}' : options.text('format') ?? tableFormat, rows, headings)) app.print(line)
  return 0
}

export function showRecord(id: string, { options }: CommandInput, app: App): number {
  const root = defaultRoot(app.env)
  const record = getBuild(root, id)
  const events = readBuildEvents(root, record.id)
  if (options.has('json')) {
    app.print(JSON.stringify({ ...record, events: events.filter(({ type }) => type !== 'node-output') }))
    return 0
  }
  for (const line of recordLines(record, events.map(fromWire))) app.print(line)
  return 0
}

function recordLines(record: BuildRecord, events: readonly ReturnType<typeof fromWire>[]): string[] {
  const progress = new BuildProgress()
  for (const event of events) progress.handle(event)
  const symbols = symbolsFor({})
  const stages = Map.groupBy(progress.steps, ({ label }) => label.stage)
  return [
    `build ${record.id} of ${printable(record.title)}, started ${new Date(record.startedAtMs).toISOString()}: ${record.outcome}`,
    ...(record.command === undefined ? [] : [`  command   ${printable(formatCommand(record.command.args))}`, `  in        ${printable(record.command.cwd)}`]),
    ...[...stages].flatMap(([stage, steps]) => [`  ${printable(stage)}`, ...steps.map((step) => stepLine({ style: unstyled, symbols, nowMs: record.endedAtMs ?? Date.now() }, step, { width: plainColumns, isHeaded: true }))]),
    ...progress.warnings.map(({ rule, message }) => `${symbols.warning} ${printable(rule)}: ${printable(message)}`),
    ...summarize(progress, { style: unstyled, symbols, columns: plainColumns, cut: shorten, startedAtMs: record.startedAtMs }),
    ...(record.error === undefined ? [] : [`error: ${printable(record.error)}`]),
  ]
}

/** The whole log as `--progress plain` wrote it, or what one step wrote, byte for byte. */
export function showLogs(id: string, step: string | undefined, app: App): number {
  const root = defaultRoot(app.env)
  const events = readBuildEvents(root, getBuild(root, id).id).map(fromWire)
  if (step === undefined) {
    const renderer = new PlainRenderer((line) => { app.print(line) })
    for (const event of events) renderer.handle(event)
    return 0
  }
  const planned = events.flatMap((event) => event.type === 'build-planned' ? event.steps : [])
  const wanted = /^#?\d+$/u.test(step) ? planned[Number(step.replace('#', '')) - 1] : undefined
  if (wanted === undefined) throw new UsageError(`step "${step}" is none of the ${planned.length} of this build: their numbers are those in "tsbuild history logs ${id}"`, 'history')
  for (const event of events) if (event.type === 'node-output' && event.node === wanted.node) process.stdout.write(event.bytes)
  return 0
}

/** The same command line in the same folder, with today's files and environment. */
export async function rerunBuild(id: string, app: App): Promise<number> {
  const { command, title } = getBuild(defaultRoot(app.env), id)
  if (command === undefined) throw new UsageError(`build "${id}" of ${title} was started by a program, which has to start it again`)
  const words = withoutManagementWord(command.args)
  const args = words[0] === buildCommand.name ? words.slice(1) : words
  app.note(printable(formatCommand(command.args)))
  process.chdir(command.cwd)
  return buildCommand.run(parseArguments(buildCommand, args), { ...app, args: command.args })
}
