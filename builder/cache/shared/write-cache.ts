import type { Task } from '../../../core/task.ts'
import { silent } from '../../../core/task.ts'
import type { Descriptor } from '../../../oci/descriptor.ts'
import { mediaTypes } from '../../../oci/descriptor.ts'
import type { DiffId } from '../../../oci/digest.ts'
import type { Manifest } from '../../../oci/manifest.ts'
import { encodeDocument } from '../../../oci/manifest.ts'
import { BlobMissing } from '../../../storage/index.ts'
import type { Engine } from '../../engine.ts'
import type { BuildEvent } from '../../events.ts'
import type { NodeResult } from '../../execute/executor.ts'
import { uploadPortable } from '../../transfer/push.ts'
import type { SharedRecord } from './cache-config.ts'
import { cacheConfigType, encodeCacheConfig, encodeInlineCache } from './cache-config.ts'
import type { CacheSource, CacheTarget } from './cache-place.ts'
import { describePlace } from './cache-place.ts'
import { LayoutFolder } from './layout-folder.ts'
import { readSource } from './read-source.ts'
import { isTrouble } from './trouble.ts'
import type { SharedCaches } from './shared-caches.ts'

export interface CacheToWrite {
  /** By key, all results this build used or made. */
  readonly used: ReadonlyMap<string, NodeResult>
  readonly shared: SharedCaches
  /** Of each image's layers, bottom first, as the steps made them. */
  readonly images: readonly (readonly DiffId[])[]
}

type PlacedTarget = Exclude<CacheTarget, { type: 'inline' }>

/** More records than this are left out, those of other builds first. */
const maxRecords = 2000

/** Writes the cache of a build to where others find it. What the place has of other builds stays, as far as there is room. */
export async function writeCaches(engine: Engine, { targets, cache }: { targets: readonly CacheTarget[]; cache: CacheToWrite }, task: Task<BuildEvent>): Promise<void> {
  for (const target of targets) {
    if (target.type === 'inline') continue
    try {
      await writeCache(engine, { target, cache }, task)
    } catch (error) {
      if (!target.ignoresErrors || !isTrouble(error)) throw error
      task.emit({ type: 'warning-raised', rule: 'cache-to', message: `the cache was not written to "${describePlace(target)}": ${error.message}`, range: undefined })
    }
  }
}

/** What an image is to say of its own layers. */
export function inlineCache({ used, images }: CacheToWrite, image: number): string {
  const diffIds = images[image] ?? []
  const records = [...used].flatMap(([key, result]) => {
    const layer = result.diffIds.length - 1
    return isInImage(result, diffIds) ? [{ key, layer, created: result.created }] : []
  })
  return encodeInlineCache(records)
}

async function writeCache(engine: Engine, { target, cache }: { target: PlacedTarget; cache: CacheToWrite }, task: Task<BuildEvent>): Promise<void> {
  const own = await ownRecords(engine, { target, cache }, task)
  const others = target.isReset ? [] : await otherRecords(engine, { target, own }, task)
  try {
    await put(engine, { target, records: [...own, ...others] }, task)
  } catch (error) {
    // A layer of another build is not there any more.
    if (others.length === 0 || !(error instanceof BlobMissing)) throw error
    await put(engine, { target, records: own }, task)
  }
}

async function ownRecords({ store }: Engine, { target, cache: { used, shared, images } }: { target: PlacedTarget; cache: CacheToWrite }, task: Task<BuildEvent>): Promise<SharedRecord[]> {
  const records: SharedRecord[] = []
  for (const [key, result] of used) {
    const diffId = result.diffIds.at(-1)
    if (result.chainId === undefined || diffId === undefined || (target.mode === 'min' && !images.some((diffIds) => isInImage(result, diffIds)))) continue
    let blob = shared.blobAt(key, target)
    if (blob === undefined) {
      await result.ensure(task)
      blob = await store.layerBlob(result.chainId, target.compression, silent(task))
    }
    records.push({ key, blob, diffId, created: result.created })
  }
  return records.slice(0, maxRecords)
}

function isInImage({ diffIds: own }: NodeResult, image: readonly DiffId[]): boolean {
  return own.length <= image.length && own.every((diffId, index) => image[index] === diffId)
}

/** An unreadable cache is written anew. */
async function otherRecords(engine: Engine, { target, own }: { target: CacheSource; own: readonly SharedRecord[] }, task: Task<BuildEvent>): Promise<SharedRecord[]> {
  const keys = new Set(own.map(({ key }) => key))
  try {
    const { records } = await readSource(engine, target, task)
    const others = records.filter(({ key }) => !keys.has(key))
    return others.sort((one, other) => (other.created ?? '').localeCompare(one.created ?? '')).slice(0, maxRecords - own.length)
  } catch (error) {
    if (!isTrouble(error)) throw error
    return []
  }
}

async function put(engine: Engine, { target, records }: { target: PlacedTarget; records: readonly SharedRecord[] }, task: Task<BuildEvent>): Promise<void> {
  const { store } = engine
  const config = await store.content.write(encodeCacheConfig(records), cacheConfigType)
  const blobs = [...new Map(records.map(({ blob, diffId }) => [blob.digest, { ...blob, annotations: { 'containerd.io/uncompressed': diffId } }])).values()]
  const manifest: Manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: blobs }
  const bytes = encodeDocument(manifest)
  if (target.type === 'registry') {
    await uploadPortable(engine, { name: target.name, portable: { manifest, bytes, mediaType: mediaTypes.ociManifest } }, task)
    return
  }
  const folder = new LayoutFolder(target.folder)
  for (const blob of [...blobs, config] as Descriptor[]) if (!folder.has(blob)) await folder.put(blob, store.content.read(blob, silent(task)))
  await folder.tag(target.tag, { bytes, mediaType: mediaTypes.ociManifest })
}
