import type { ExaminedImage, LayerEntry, OpenedLayers, PathEvent, TreeDifference, TreeNode, WasteReport } from '../../builder/index.ts'
import { createTask } from '../../core/task.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { askedPlatform } from '../option-values.ts'
import { formatBytes, formatTable, parseBytes, printable, printableLine, shortId } from '../render/format.ts'

export const layerCommand: CommandSpec = {
  name: 'layer',
  operands: 'ls IMAGE [PATH] | diff IMAGE IMAGE | why IMAGE PATH | waste IMAGE',
  minOperands: 2,
  maxOperands: 3,
  summary: `Look into the layers of an image: of the store, an archive, a folder with an OCI layout, or a registry.
ls lists what each layer brought, with the step that made it; diff compares two root filesystems; why tells which steps made
a path what it is; waste lists what later layers overwrote, deleted, or only changed mode or owner of, and what is therefore
stored and transferred in vain.`,
  options: [
    { name: 'layer', value: 'N', help: 'ls: only this layer, counted from 1 at the bottom, or by the beginning of its diffID' },
    { name: 'max-bytes', value: 'SIZE', help: 'waste: exit code 1 when more is wasted' },
    { name: 'max-inodes', value: 'N', help: 'waste: exit code 1 when more inodes are wasted' },
    { name: 'max-share', value: 'PERCENT', help: 'waste: exit code 1 when a larger share of all bytes is wasted' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Which image of several platforms (default this machine\'s); one that is for another only is refused' },
    { name: 'json', help: 'Print JSON' },
  ],
  examples: ['tsbuild layer ls app:1', 'tsbuild layer why app:1 /etc/passwd', 'tsbuild layer waste --max-share 5% app:1', 'tsbuild layer diff app:1 ./app.tar'],
  run: async (input, app) => {
    const [verb = '', ...rest] = input.operands
    const run = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
    if (run === undefined) throw new UsageError(`"tsbuild layer" takes ls, diff, why or waste, not "${verb}"`, 'layer')
    const [least, most] = operandCounts[verb] ?? [1, 1]
    if (rest.length < least || rest.length > most) throw new UsageError(`"tsbuild layer ${verb}" takes ${least === most ? least : `${least} or ${most}`} operand${most === 1 ? '' : 's'}, not ${rest.length}`, 'layer')
    for (const [option, owner] of ownOptions) if (input.options.has(option) && owner !== verb) throw new UsageError(`option --${option} is one of "tsbuild layer ${owner}", not of ${verb}`, 'layer')
    return run({ rest, input, app })
  },
}

interface Work {
  readonly rest: readonly string[]
  readonly input: CommandInput
  readonly app: App
}

const verbs: Readonly<Record<string, (work: Work) => Promise<number>>> = { ls: listLayers, diff: diffImages, why: explainPath, waste: showWaste }
/** Which verb has them alone. */
const ownOptions = [['layer', 'ls'], ['max-bytes', 'waste'], ['max-inodes', 'waste'], ['max-share', 'waste']] as const
const operandCounts: Readonly<Record<string, readonly [number, number]>> = { ls: [1, 2], diff: [2, 2], why: [2, 2], waste: [1, 1] }

/** `show` runs while the store is open, because entries may look into it. */
async function examine(sources: readonly string[], { input, app }: Work, show: (images: readonly ExaminedImage[]) => Promise<number> | number): Promise<number> {
  const { examineImages, openLayers } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const task = createTask(app)
  const opened: OpenedLayers[] = []
  for (const source of sources) opened.push(await openLayers(engine, { source, platform: askedPlatform(input.options) }, task))
  return await show(await examineImages(opened, task))
}

function examineOne(work: Work, show: (image: ExaminedImage) => Promise<number> | number): Promise<number> {
  return examine(work.rest.slice(0, 1), work, ([image]) => {
    if (image === undefined) throw new TypeError('one image was asked for')
    return show(image)
  })
}

function listLayers(work: Work): Promise<number> {
  return examineOne(work, (image) => printLayers(image, work))
}

function printLayers(image: ExaminedImage, { rest: [source = '', path], input: { options }, app }: Work): number {
  const below = path === undefined ? undefined : tidyPath(path)
  const chosen = options.text('layer')
  const layers = selectLayers(image, { chosen, below })
  if (layers.length === 0) throw new UsageError(`"${source}" has no layer ${chosen ?? ''}; there are ${image.layers.length}`, 'layer')
  const isFound = below === undefined || layers.some(({ entries }) => entries.length > 0)
  if (options.has('json')) {
    app.print(JSON.stringify(layers))
    return isFound ? 0 : 3
  }
  if (!isFound) {
    app.note(`no layer of "${source}" has "${path ?? ''}"`)
    return 3
  }
  for (const { number, diffId, step, entries } of layers) {
    app.print(`Layer ${number}, ${shortId(diffId)}: ${oneLine(step)}`)
    if (entries.length > 0) app.print(formatTable(entries.map(describeEntry)))
  }
  return 0
}

/** By number or beginning of the diffID, each with what it has at a path and below. */
function selectLayers(image: ExaminedImage, { chosen, below }: { readonly chosen: string | undefined; readonly below: string | undefined }): (ExaminedImage['layers'][number] & { readonly number: number })[] {
  return image.layers.map((layer, index) => ({ ...layer, number: index + 1 }))
    .filter(({ diffId, number }) => chosen === undefined || String(number) === chosen || (chosen.length >= 4 && diffId.slice('sha256:'.length).startsWith(chosen.replace(/^sha256:/u, ''))))
    .map(({ entries, ...layer }) => ({ ...layer, entries: below === undefined ? entries : entries.filter(({ path }) => path === below || path.startsWith(below.endsWith('/') ? below : `${below}/`)) }))
}

function describeEntry(entry: LayerEntry): string[] {
  return [`  ${formatMode(entry)}`, `${entry.uid}:${entry.gid}`, entry.type === 'file' ? String(entry.sizeBytes) : '', describePath(entry)]
}

function diffImages(work: Work): Promise<number> {
  return examine(work.rest, work, (images) => printDifferences(images, work))
}

async function printDifferences([one, other]: readonly ExaminedImage[], { input: { options }, app }: Work): Promise<number> {
  const { compareTrees } = await import('../../builder/index.ts')
  if (one === undefined || other === undefined) throw new TypeError('two images were asked for')
  const differences = compareTrees(one.tree, other.tree)
  const stepOf = (image: ExaminedImage, node: TreeNode | undefined): string => node === undefined ? '' : oneLine(image.layers[node.layer]?.step ?? '')
  if (options.has('json')) {
    app.print(JSON.stringify(differences.map(({ before, after, ...rest_ }) => ({ ...rest_, before: before?.entry, after: after?.entry, step: stepOf(after === undefined ? one : other, after ?? before) }))))
    return 0
  }
  const marks = { added: '+', removed: '-', changed: '~' } as const
  const detail = ({ kind, what, before, after }: TreeDifference): string => kind === 'changed' ? what.join(', ') : formatBytes((after ?? before)?.entry.sizeBytes ?? 0)
  if (differences.length > 0) app.print(formatTable(differences.map((difference) => [`${marks[difference.kind]} ${printableLine(difference.path)}`, detail(difference), stepOf(difference.after === undefined ? one : other, difference.after ?? difference.before)])))
  return 0
}

function explainPath(work: Work): Promise<number> {
  return examineOne(work, (image) => printEvents(image, work))
}

async function printEvents(image: ExaminedImage, { rest: [source = '', path = ''], input: { options }, app }: Work): Promise<number> {
  const { tracePath } = await import('../../builder/index.ts')
  const events = tracePath(image, tidyPath(path))
  if (options.has('json')) app.print(JSON.stringify(events))
  else if (events.length === 0) app.note(`no layer of "${source}" has "${path}"`)
  else app.print(formatTable(events.map(describeEvent)))
  return events.length === 0 ? 3 : 0
}

function tidyPath(path: string): string {
  return `/${path.replaceAll(/^\/+|\/+$/gu, '')}`
}

function describeEvent({ layer, step, did, entry, isVisible }: PathEvent): string[] {
  const what = did === 'deleted' ? `by ${entry.type === 'whiteout' ? 'a whiteout' : 'an entry'} of ${describePath(entry)}` : `${formatMode(entry)} ${entry.uid}:${entry.gid} ${entry.type === 'file' ? formatBytes(entry.sizeBytes) : ''}`.trimEnd()
  return [`layer ${layer + 1}`, `${did}${isVisible ? ', visible' : ''}`, what, oneLine(step)]
}

function showWaste(work: Work): Promise<number> {
  return examineOne(work, (image) => printWaste(image, work))
}

async function printWaste(image: ExaminedImage, work: Work): Promise<number> {
  const { input: { options }, app } = work
  const { measureWaste } = await import('../../builder/index.ts')
  const report = measureWaste(image)
  const exceeded = exceededBudgets(report, work)
  if (options.has('json')) app.print(JSON.stringify({ ...report, exceeded }))
  else {
    const step = (layer: number): string => oneLine(image.layers[layer]?.step ?? '')
    if (report.items.length > 0) app.print(formatTable([['WASTED', 'WHAT', 'PATH', 'BROUGHT BY', 'HIDDEN BY'], ...report.items.map(({ bytes, kind, path, layer, hiddenBy }) => [formatBytes(bytes), kind, printableLine(path), step(layer), step(hiddenBy)])]))
    app.print(`${formatBytes(report.bytes)} of ${formatBytes(report.totalBytes)} and ${report.inodes} of ${report.totalInodes} inodes are wasted`)
    for (const line of exceeded) app.note(`error: ${line}`)
  }
  return exceeded.length === 0 ? 0 : 1
}

function exceededBudgets({ bytes, inodes, totalBytes }: WasteReport, { input: { options } }: Work): string[] {
  const [maxBytes, maxInodes, maxShare] = [options.text('max-bytes'), options.text('max-inodes'), options.text('max-share')]
  const limitBytes = maxBytes === undefined ? undefined : parseBytes(maxBytes)
  if (maxBytes !== undefined && limitBytes === undefined) throw new UsageError(`option --max-bytes takes a size such as 10m, not "${maxBytes}"`)
  if (maxInodes !== undefined && !/^\d+$/u.test(maxInodes)) throw new UsageError(`option --max-inodes takes a whole number, not "${maxInodes}"`)
  if (maxShare !== undefined && !/^\d+(?:\.\d+)?%?$/u.test(maxShare)) throw new UsageError(`option --max-share takes percents such as 5%, not "${maxShare}"`)
  const share = totalBytes === 0 ? 0 : bytes / totalBytes * 100
  return [
    ...(limitBytes !== undefined && bytes > limitBytes ? [`${bytes} bytes are wasted, allowed are ${limitBytes}`] : []),
    ...(maxInodes !== undefined && inodes > Number(maxInodes) ? [`${inodes} inodes are wasted, allowed are ${maxInodes}`] : []),
    ...(maxShare !== undefined && share > Number(maxShare.replace('%', '')) ? [`${share.toFixed(1)}% of all bytes are wasted, allowed are ${maxShare}`] : []),
  ]
}

const typeLetters: Readonly<Record<LayerEntry['type'], string>> = { file: '-', directory: 'd', symlink: 'l', 'hard-link': 'h', char: 'c', block: 'b', fifo: 'p', whiteout: 'W', opaque: 'O' }

/** As ls shows it; `h` is a further name of a file, `W` and `O` what deletes. */
function formatMode({ type, mode }: LayerEntry): string {
  const bits = [6, 3, 0].map((shift) => `${mode >> shift & 4 ? 'r' : '-'}${mode >> shift & 2 ? 'w' : '-'}${mode >> shift & 1 ? 'x' : '-'}`).join('')
  const special = [[0o4000, 2, 's', 'S'], [0o2000, 5, 's', 'S'], [0o1000, 8, 't', 'T']] as const
  const shown = special.reduce((text, [bit, at, lower, upper]) => (mode & bit) === 0 ? text : `${text.slice(0, at)}${text[at] === 'x' ? lower : upper}${text.slice(at + 1)}`, bits)
  return `${typeLetters[type]}${shown}`
}

function describePath({ path, type, target, xattrs }: LayerEntry): string {
  const link = target === undefined ? '' : ` ${type === 'symlink' ? '->' : '='} ${printableLine(target)}`
  const names = Object.keys(xattrs)
  return `${printableLine(path)}${link}${names.length === 0 ? '' : ` [${names.map(printableLine).join(', ')}]`}`
}

function oneLine(text: string): string {
  const line = printable(text).replaceAll(/\s+/gu, ' ')
  return line.length <= 60 ? line : `${line.slice(0, 59)}…`
}
