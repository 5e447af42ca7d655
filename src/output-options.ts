import type { Writable } from 'node:stream'
import type { BlobOptions, BuildOutput, Destination, ImageAnnotations, SquashRange } from '../builder/index.ts'
import { parseReference } from '../registry-client/index.ts'
import { Attributes } from './attribute-list.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'

export const outputOptions: readonly OptionSpec[] = [
  { name: 'output', short: 'o', value: 'SPEC', isRepeatable: true, help: 'What becomes of the result: type=image|registry|oci|docker|local|tar|cacheonly[,dest=PATH][,name=NAME][,...], or a folder; - or no dest is standard output' },
  { name: 'push', help: 'Also push the image under its names' },
  { name: 'load', help: 'Also load the image into docker, or else podman' },
  { name: 'annotation', value: '[LEVEL:]NAME=VALUE', isRepeatable: true, help: 'Annotation of the manifest, or of the level manifest-descriptor or index' },
  { name: 'squash', value: 'FIRST-LAST', bare: 'all', help: 'Make one layer of those the Dockerfile makes, or of a range counted from 1: 2-4, or 2- to the last' },
]

export interface Outputs {
  readonly outputs: readonly BuildOutput[]
  /** Asked for by `--load`, or `type=docker` without a destination: whoever runs the build gives it a stream. */
  readonly loads: boolean
  /** What the image is called in the store beside its tags. */
  readonly names: readonly string[]
}

const outputTypes = ['image', 'registry', 'oci', 'docker', 'local', 'tar', 'cacheonly'] as const
type OutputType = (typeof outputTypes)[number]

/** What BuildKit's exporters take and we do otherwise. */
const remedies: readonly (readonly [begin: string, remedy: string])[] = [
  ['annotation', 'give annotations by --annotation [LEVEL:]NAME=VALUE'],
  ['registry.insecure', 'say "insecure = true" of the registry in registries.conf'],
  ['context', 'docker load goes by DOCKER_CONTEXT and DOCKER_HOST'],
  ['dangling-name-prefix', 'an image without a name is called by its id'],
  ['platform-split', 'of several platforms each has a folder of its own, and one has none'],
  ['ref', 'say name=NAME'],
  ['src', 'say dest=PATH'],
]

const levels = { gzip: { least: 1, most: 9 }, zstd: { least: 1, most: 22 }, none: { least: 0, most: 0 } } as const

/** @throws {UsageError} */
export function parseOutputs(options: OptionValues, stdout: Writable & { readonly isTTY?: boolean }): Outputs {
  const parsed = options.texts('output').map((text) => parseOutput(text, stdout))
  const given = parsed.flatMap(({ outputs }) => outputs)
  const pushed: BuildOutput[] = options.has('push') ? [{ type: 'registry', names: [], blobs: plainBlobs }] : []
  const image: BuildOutput[] = options.has('output') ? [] : [{ type: 'image' }]
  const outputs = [...image, ...given, ...pushed]
  if (outputs.filter((output) => 'to' in output && output.to.kind === 'stream').length > 1) throw new UsageError('only one of several outputs can go to standard output: give the others dest=PATH')
  return { outputs, loads: options.has('load') || parsed.some(({ loads }) => loads), names: parsed.flatMap(({ names }) => names) }
}

const plainBlobs: BlobOptions = { compression: 'gzip', level: undefined, isForced: false, mediaTypes: 'oci' }

function parseOutput(text: string, stdout: Writable & { readonly isTTY?: boolean }): Outputs {
  const attributes = new Attributes(text === '-' ? 'type=tar,dest=-' : text.includes(',') || text.startsWith('type=') ? text : `type=local,"dest=${text.replaceAll('"', '""')}"`, 'output')
  const type = attributes.word('type', outputTypes)
  if (type === undefined) throw new UsageError(`option --output needs a type in "${text}"`)
  const outputs = readOutput(type, attributes, stdout)
  attributes.finish((key) => remedies.find(([begin]) => key.startsWith(begin))?.[1])
  return outputs
}

function readOutput(type: OutputType, attributes: Attributes, stdout: Writable & { readonly isTTY?: boolean }): Outputs {
  const one = (output: BuildOutput): Outputs => ({ outputs: [output], loads: false, names: [] })
  const destination = attributes.text('dest')
  switch (type) {
    case 'image': return readImage(attributes)
    case 'registry': return one(readRegistry(attributes))
    case 'cacheonly': return { outputs: [], loads: false, names: [] }
    case 'oci': {
      const isFolder = attributes.isOn('tar') === false
      const to: Destination = isFolder ? { kind: 'folder', path: needed(destination, type) } : readFile(destination, { stdout })
      return one({ type, names: readNames(attributes), to, blobs: readBlobs(attributes) })
    }
    case 'docker':
      if (destination === undefined) return { outputs: [], loads: true, names: [] }
      return one({ type, names: readNames(attributes), to: readFile(destination, { stdout }) })
    case 'local': return one({ type, to: { kind: 'folder', path: needed(destination, type) } })
    case 'tar': return one({ type, to: readFile(destination, { stdout }) })
  }
}

/** In the store, and with `push=true` in a registry as well. */
function readImage(attributes: Attributes): Outputs {
  // What is done anyway.
  for (const key of ['store', 'unpack']) if (attributes.isOn(key) === false) throw new UsageError(`${key}=false of option --output has no meaning here: an image of the store has its layers unpacked; push alone is type=registry`)
  if (attributes.isOn('push') !== true) {
    const names = readNames(attributes)
    const { compression, mediaTypes, level, isForced } = readBlobs(attributes)
    if (compression !== 'gzip' || mediaTypes !== 'oci' || level !== undefined || isForced) throw new UsageError('layers are compressed when they leave the store: give compression and oci-mediatypes to type=registry, type=oci or push=true')
    return { outputs: [{ type: 'image' }], loads: false, names }
  }
  const registry = readRegistry(attributes)
  return { outputs: [{ type: 'image' }, registry], loads: false, names: registry.isByDigest === true ? [] : registry.names }
}

function readRegistry(attributes: Attributes): Extract<BuildOutput, { type: 'registry' }> {
  const names = readNames(attributes)
  const isByDigest = attributes.isOn('push-by-digest') === true
  // Whatever is pushed can be had by its digest.
  attributes.isOn('name-canonical')
  if (isByDigest && (names.length === 0 || names.some((name) => parseReference(name, { defaultTag: undefined }).tag !== undefined))) throw new UsageError('push-by-digest=true needs name=REPOSITORY without a tag')
  return { type: 'registry', names, blobs: readBlobs(attributes), ...(isByDigest ? { isByDigest } : {}) }
}

function readFile(destination: string | undefined, { stdout }: { stdout: Writable & { readonly isTTY?: boolean } }): Exclude<Destination, { kind: 'folder' }> {
  const path = destination ?? '-'
  if (path === '') throw new UsageError('dest of option --output is empty')
  if (path !== '-') return { kind: 'file', path }
  if (stdout.isTTY === true) throw new UsageError('an archive is not for a terminal: give dest a path, or redirect standard output')
  return { kind: 'stream', stream: stdout }
}

function needed(destination: string | undefined, type: string): string {
  if (destination === undefined || destination === '') throw new UsageError(`output type=${type} needs dest=PATH`)
  return destination
}

function readNames(attributes: Attributes): string[] {
  return attributes.text('name')?.split(',') ?? []
}

function readBlobs(attributes: Attributes): BlobOptions {
  if (attributes.isOn('rewrite-timestamp') === false) throw new UsageError('rewrite-timestamp=false of option --output has no meaning here: with SOURCE_DATE_EPOCH the times in layers are rewritten, and without it they are kept')
  const word = attributes.word('compression', ['gzip', 'zstd', 'uncompressed']) ?? 'gzip'
  const compression = word === 'uncompressed' ? 'none' : word
  return {
    compression,
    level: attributes.number('compression-level', levels[compression]),
    isForced: attributes.isOn('force-compression') ?? false,
    mediaTypes: attributes.isOn('oci-mediatypes') === false ? 'docker' : 'oci',
  }
}

/** @throws {UsageError} */
export function parseAnnotations(texts: readonly string[]): ImageAnnotations {
  const annotations = { manifest: new Map<string, string>(), manifestDescriptor: new Map<string, string>(), index: new Map<string, string>() }
  for (const text of texts) {
    const match = /^(?:(manifest|manifest-descriptor|index)(?:,(manifest|manifest-descriptor|index))?:)?([^=:]+)=(.*)$/su.exec(text)
    if (match === null) throw new UsageError(`option --annotation takes [manifest:|manifest-descriptor:|index:]NAME=VALUE, not "${text}"`)
    const [, first = 'manifest', second, name = '', value = ''] = match
    for (const level of [first, second]) {
      if (level === 'manifest' || level === 'index') annotations[level].set(name, value)
      if (level === 'manifest-descriptor') annotations.manifestDescriptor.set(name, value)
    }
  }
  return { manifest: Object.fromEntries(annotations.manifest), manifestDescriptor: Object.fromEntries(annotations.manifestDescriptor), index: Object.fromEntries(annotations.index) }
}

/** @throws {UsageError} */
export function parseSquash(options: OptionValues): SquashRange | 'all' | undefined {
  const text = options.text('squash')
  if (text === undefined || text === 'false') return undefined
  if (text === 'all' || text === 'true') return 'all'
  const [, first = '', last = ''] = /^([1-9]\d{0,3})-([1-9]\d{0,3})?$/u.exec(text) ?? []
  const range = { first: Number(first), last: last === '' ? Infinity : Number(last) }
  if (first === '' || range.first >= range.last) throw new UsageError(`option --squash takes a range of layers such as 2-4, or 2- for all from there on, not "${text}"`)
  return range
}
