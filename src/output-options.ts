import type { Writable } from 'node:stream'
import type { BlobOptions, BuildOutput, Destination, ImageAnnotations, SquashRange } from '../builder/index.ts'
import { Attributes } from './attribute-list.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'

export const outputOptions: readonly OptionSpec[] = [
  { name: 'output', short: 'o', value: 'SPEC', isRepeatable: true, help: 'What becomes of the result: type=image|registry|oci|docker|local|tar[,dest=PATH][,...], or a folder' },
  { name: 'push', help: 'Also push the image under its names' },
  { name: 'load', help: 'Also load the image into docker, or else podman' },
  { name: 'annotation', value: '[LEVEL:]NAME=VALUE', isRepeatable: true, help: 'Annotation of the manifest, or of the level manifest-descriptor or index' },
  { name: 'squash', value: 'FIRST-LAST', bare: 'all', help: 'Make one layer of those the Dockerfile makes, or of a range counted from 1' },
]

/** Asked for by `--load`, or `type=docker` without a destination: whoever runs the build gives it a stream. */
export interface Outputs {
  readonly outputs: readonly BuildOutput[]
  readonly loads: boolean
}

const levels = { gzip: { least: 1, most: 9 }, zstd: { least: 1, most: 22 }, none: { least: 0, most: 0 } } as const

/** @throws {UsageError} */
export function parseOutputs(options: OptionValues, stdout: Writable & { readonly isTTY?: boolean }): Outputs {
  const parsed = options.texts('output').map((text) => parseOutput(text, stdout))
  const given = parsed.flatMap(({ outputs }) => outputs)
  const pushed: BuildOutput[] = options.has('push') ? [{ type: 'registry', names: [], blobs: plainBlobs }] : []
  const image: BuildOutput[] = options.has('output') ? [] : [{ type: 'image' }]
  return { outputs: [...image, ...given, ...pushed], loads: options.has('load') || parsed.some(({ loads }) => loads) }
}

const plainBlobs: BlobOptions = { compression: 'gzip', level: undefined, isForced: false, mediaTypes: 'oci' }

function parseOutput(text: string, stdout: Writable & { readonly isTTY?: boolean }): Outputs {
  const attributes = new Attributes(text === '-' ? 'type=tar,dest=-' : text.includes(',') || text.startsWith('type=') ? text : `type=local,"dest=${text.replaceAll('"', '""')}"`, 'output')
  const type = attributes.word('type', ['image', 'registry', 'oci', 'docker', 'local', 'tar'])
  if (type === undefined) throw new UsageError(`option --output needs a type in "${text}"`)
  const outputs = readOutput(type, attributes, stdout)
  attributes.finish()
  return outputs
}

function readOutput(type: BuildOutput['type'], attributes: Attributes, stdout: Writable & { readonly isTTY?: boolean }): Outputs {
  const one = (output: BuildOutput): Outputs => ({ outputs: [output], loads: false })
  const destination = attributes.text('dest')
  switch (type) {
    case 'image': {
      const push = attributes.isOn('push') === true
      const registry: BuildOutput[] = push ? [{ type: 'registry', names: readNames(attributes), blobs: readBlobs(attributes) }] : []
      return { outputs: [{ type: 'image' }, ...registry], loads: false }
    }
    case 'registry': return one({ type, names: readNames(attributes), blobs: readBlobs(attributes) })
    case 'oci': {
      const isFolder = attributes.isOn('tar') === false
      const to: Destination = isFolder ? { kind: 'folder', path: needed(destination, type) } : readFile(destination, { type, stdout })
      return one({ type, names: readNames(attributes), to, blobs: readBlobs(attributes) })
    }
    case 'docker':
      if (destination === undefined) return { outputs: [], loads: true }
      return one({ type, names: readNames(attributes), to: readFile(destination, { type, stdout }) })
    case 'local': return one({ type, to: { kind: 'folder', path: needed(destination, type) } })
    case 'tar': return one({ type, to: readFile(destination, { type, stdout }) })
  }
}

function readFile(destination: string | undefined, { type, stdout }: { type: string; stdout: Writable & { readonly isTTY?: boolean } }): Exclude<Destination, { kind: 'folder' }> {
  const path = needed(destination, type)
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
  const [, first = '', last = ''] = /^([1-9]\d{0,3})-([1-9]\d{0,3})$/u.exec(text) ?? []
  if (first === '' || Number(first) >= Number(last)) throw new UsageError(`option --squash takes a range of layers such as 2-4, not "${text}"`)
  return { first: Number(first), last: Number(last) }
}
