import { createTask } from '../../core/task.ts'
import type { BuildRecord, Engine } from '../../builder/index.ts'
import { BuildNotFound, describeLayers, explainPlace, findImage, fromWire, getBuild, readBuildEvents } from '../../builder/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { writeText } from '../write-text.ts'
import { formatCommand } from '../render/format.ts'
import type { ReportData, ReportedImage } from '../report/report-data.ts'
import { reportBuild } from '../report/report-data.ts'
import { reportPage } from '../report/report-page.ts'

export const reportCommand: CommandSpec = {
  name: 'report',
  operands: '[BUILD|IMAGE]',
  minOperands: 0,
  maxOperands: 1,
  summary: 'Write a page about a build (default the latest) or an image: timeline, cache, usage, layers and what they waste, in one file that needs nothing else',
  options: [{ name: 'output', short: 'o', value: 'FILE', help: 'File to write (default standard output)' }],
  examples: ['tsbuild report -o report.html', 'tsbuild report app:1 -o image.html'],
  run: report,
}

async function report({ operands: [what = 'latest'], options }: CommandInput, app: App): Promise<number> {
  const output = options.text('output')
  if (output === undefined && process.stdout.isTTY) throw new UsageError('a page is not for a terminal: give --output, or redirect standard output')
  await using engine = await app.openEngine()
  const record = findBuild(engine, what)
  const page = reportPage(record === undefined ? await imageData(engine, what, app) : await buildData(engine, record, app))
  if (output === undefined) app.print(page)
  else await writePage(output, page)
  return 0
}

/** @throws {OutputConflict} */
async function writePage(path: string, page: string): Promise<void> {
  try {
    await writeText(path, page)
  } catch (error) {
    throw explainPlace(path, error)
  }
}

/** A name that no build has is an image's. */
function findBuild({ store }: Engine, what: string): BuildRecord | undefined {
  try {
    return getBuild(store.root, what)
  } catch (error) {
    if (error instanceof BuildNotFound && what !== 'latest') return undefined
    throw error
  }
}

async function buildData(engine: Engine, record: BuildRecord, app: App): Promise<ReportData> {
  const events = readBuildEvents(engine.store.root, record.id).map(fromWire)
  const command = record.command === undefined ? undefined : formatCommand(record.command.args)
  const stored = record.image === undefined ? undefined : engine.store.images.find(record.image)
  return { title: record.title, createdAtMs: Date.now(), build: reportBuild(record, events, command), image: stored === undefined ? undefined : await describeImage(engine, stored.id, app) }
}

async function imageData(engine: Engine, name: string, app: App): Promise<ReportData> {
  return { title: name, createdAtMs: Date.now(), build: undefined, image: await describeImage(engine, name, app) }
}

async function describeImage({ store }: Engine, name: string, app: App): Promise<ReportedImage> {
  const image = findImage(store, name)
  return { id: image.id, names: image.names, ...await describeLayers(store, image, createTask(app)) }
}
