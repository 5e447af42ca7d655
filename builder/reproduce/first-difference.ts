import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { chainIds } from '../../oci/digest.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { Store } from '../../storage/index.ts'
import type { LayerEntry } from '../forensics/layer-entry.ts'
import { readStoredEntries } from '../forensics/layer-entry.ts'
import type { Difference } from './difference.ts'

const fields = ['type', 'mode', 'uid', 'gid', 'target', 'digest', 'sizeBytes', 'mtime', 'xattrs'] as const

/** An image or index, and the store that has it. */
export interface BuiltThere {
  readonly store: Store
  readonly descriptor: Descriptor
}

/** Compares what two builds made, image by image and layer by layer from the bottom; undefined when it is the same. */
export async function firstDifference([one, other]: readonly [BuiltThere, BuiltThere], task: Task): Promise<Difference | undefined> {
  const [ones, others] = [await membersOf(one), await membersOf(other)]
  for (const [index, member] of ones.entries()) {
    const difference = await imageDifference([member, others[index] ?? member], task)
    if (difference !== undefined) return difference
  }
  return undefined
}

/** Of an index its images. */
async function membersOf({ store, descriptor }: BuiltThere): Promise<readonly BuiltThere[]> {
  const document = parseManifestDocument(await store.content.readDocument(descriptor), descriptor.mediaType)
  return document.kind === 'index' ? document.index.manifests.map((member) => ({ store, descriptor: member })) : [{ store, descriptor }]
}

async function imageDifference([one, other]: readonly [BuiltThere, BuiltThere], task: Task): Promise<Difference | undefined> {
  const [first, second] = [await readConfig(one), await readConfig(other)]
  const [firstIds, secondIds] = [first.rootfs.diff_ids, second.rootfs.diff_ids]
  const index = firstIds.findIndex((diffId, at) => diffId !== secondIds[at])
  if (index === -1) return one.descriptor.digest === other.descriptor.digest ? undefined : configDifference(first, second)
  const read = async ({ store }: BuiltThere, config: ImageConfig): Promise<LayerEntry[]> => {
    const chainId = chainIds(config.rootfs.diff_ids)[index]
    return chainId === undefined ? [] : await readStoredEntries(store, chainId, task)
  }
  const difference = entryDifference(await read(one, first), await read(other, second))
  return { layer: index + 1, step: stepOf(first, index), ...difference }
}

/** Of what is in both layers the first path that differs, in byte order. */
export function entryDifference(first: readonly LayerEntry[], second: readonly LayerEntry[]): Omit<Difference, 'layer' | 'step'> {
  const [ones, others] = [byPath(first), byPath(second)]
  const paths = [...new Set([...ones.keys(), ...others.keys()])].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
  for (const path of paths) {
    const [one, other] = [ones.get(path), others.get(path)]
    if (one === undefined || other === undefined) return { path, field: 'presence', first: presence(one), second: presence(other) }
    for (const field of fields) {
      const [a, b] = [JSON.stringify(one[field] ?? null), JSON.stringify(other[field] ?? null)]
      if (a !== b) return { path, field: field === 'digest' ? 'content' : field, first: a, second: b }
    }
  }
  return { path: '/', field: 'order or encoding of entries', first: `${first.length} entries`, second: `${second.length} entries` }
}

/** A whiteout has the path of what it hides. */
function byPath(entries: readonly LayerEntry[]): ReadonlyMap<string, LayerEntry> {
  return new Map(entries.map((entry) => [entry.path, entry]))
}

function presence(entry: LayerEntry | undefined): string {
  return entry === undefined ? 'absent' : entry.type
}

function configDifference(first: ImageConfig, second: ImageConfig): Difference {
  const [one, other]: Readonly<Record<string, unknown>>[] = [{ ...first }, { ...second }]
  const field = Object.keys({ ...one, ...other }).find((key) => JSON.stringify(one?.[key]) !== JSON.stringify(other?.[key])) ?? 'encoding'
  const show = (config: Readonly<Record<string, unknown>> | undefined): string => config?.[field] === undefined ? 'absent' : JSON.stringify(config[field]).slice(0, 200)
  return { layer: undefined, step: '', path: 'image config', field, first: show(one), second: show(other) }
}

function stepOf({ history = [] }: ImageConfig, layer: number): string {
  return history.filter(({ empty_layer: isEmpty }) => isEmpty !== true)[layer]?.created_by ?? ''
}

async function readConfig({ store, descriptor }: BuiltThere): Promise<ImageConfig> {
  const document = parseManifestDocument(await store.content.readDocument(descriptor), descriptor.mediaType)
  if (document.kind === 'index') throw new TypeError('a build made an index')
  return parseImageConfig(await store.content.readDocument(document.manifest.config))
}
