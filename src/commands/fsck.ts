import { createTask } from '../../core/task.ts'
import { formatFamiliar, parseReference } from '../../registry-client/index.ts'
import type { Finding, FsckReport } from '../../storage/index.ts'
import { fsck, repair } from '../../storage/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { shortId } from '../render/format.ts'

export const fsckCommand: CommandSpec = {
  name: 'fsck',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: `Check everything the store holds: every blob, layer, image and name; exit code 1 when something is wrong.
With --repair: what is damaged is moved to quarantine/ in the store, blobs are fetched again from the registries of their images,
layers are made again from blobs, and what leads to nothing is removed; exit code 1 when something is lost or remains wrong.`,
  options: [
    { name: 'repair', help: 'Repair what is wrong' },
    { name: 'json', help: 'Print JSON' },
  ],
  examples: ['tsbuild fsck', 'tsbuild fsck --repair'],
  run: async (input, app) => input.options.has('repair') ? repairStore(input, app) : checkStore(input, app),
}

async function checkStore({ options }: CommandInput, app: App): Promise<number> {
  await using engine = await app.openEngine()
  const report = await fsck(engine.store, createTask(app))
  if (options.has('json')) app.print(JSON.stringify(report))
  else [...report.findings.map(describe), summarize(report)].forEach((line) => { app.print(line) })
  return report.findings.length === 0 ? 0 : 1
}

async function repairStore({ options }: CommandInput, app: App): Promise<number> {
  const { createBlobFetcher } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const report = await repair(engine.store, { fetchBlob: createBlobFetcher(engine) }, createTask(app))
  const { findings, lostImages, quarantine, quarantined, after } = report
  if (options.has('json')) app.print(JSON.stringify(report))
  else {
    for (const line of findings.map(describe)) app.print(line)
    for (const { id, manifest, names } of lostImages) {
      app.print(`lost: image ${[shortId(id), ...names.map((name) => formatFamiliar(parseReference(name)))].join(' ')}; build it again, or pull its manifest "${manifest}"`)
    }
    if (quarantined.length > 0) app.print(`${quarantined.length} damaged files and layers are in "${quarantine}"; delete them when nobody wants to look at them`)
    for (const line of after.findings.map((finding) => `not repaired: ${describe(finding)}`)) app.print(line)
    app.print(summarize(after))
  }
  return after.findings.length === 0 && lostImages.length === 0 ? 0 : 1
}

function describe({ check, object, expected, actual }: Finding): string {
  return `${check}: ${object}${expected === undefined ? '' : `: ${actual ?? 'nothing'} instead of ${expected}`}`
}

function summarize({ images, layers, blobs, findings }: FsckReport): string {
  return `${images} images, ${layers} layers, ${blobs} blobs: ${findings.length === 0 ? 'clean' : `${findings.length} problems`}`
}
