import { setTimeout as sleep } from 'node:timers/promises'
import type { Task } from '../../../core/task.ts'
import { silent } from '../../../core/task.ts'
import type { Descriptor } from '../../../oci/descriptor.ts'
import { mediaTypes } from '../../../oci/descriptor.ts'
import { sha256 } from '../../../oci/digest.ts'
import type { DiffId } from '../../../oci/digest.ts'
import type { Manifest } from '../../../oci/manifest.ts'
import { encodeDocument } from '../../../oci/manifest.ts'
import { BlobMissing } from '../../../storage/index.ts'
import type { Engine } from '../../engine.ts'
import type { BuildEvent } from '../../events.ts'
import type { NodeResult } from '../../execute/executor.ts'
import type { SharedRecord } from './cache-config.ts'
import { cacheConfigType, encodeCacheConfig, encodeInlineCache } from './cache-config.ts'
import type { CacheSource, CacheTarget } from './cache-place.ts'
import { describePlace } from './cache-place.ts'
import type { PlaceWriter } from './place-writer.ts'
import { openWriter } from './place-writer.ts'
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

/** Longer than it takes to point a name elsewhere. */
const settleMs = 30
/** Of a writer who is always overtaken the last word may forget what another has just written. */
const maxAttempts = 20

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
    const diffId = result.diffIds.at(-1)
    return diffId === undefined ? [] : [{ key, layer: isInImage(result, diffIds) ? result.diffIds.length - 1 : undefined, diffId, created: result.created }]
  })
  return encodeInlineCache(records.slice(0, maxRecords))
}

/**
 * No place has a lock, so writers look and try again: what they read has to be what the name points to when they point it
 * elsewhere, and what they wrote has to be there a moment later.
 */
async function writeCache(engine: Engine, { target, cache }: { target: PlacedTarget; cache: CacheToWrite }, task: Task<BuildEvent>): Promise<void> {
  const own = await ownRecords(engine, { target, cache }, task)
  const isDistrusted = cache.shared.isDistrusted(target)
  if (!target.isReset && !isDistrusted && await holdsAll(engine, { target, own }, task)) return
  const writer = await openWriter(engine, { place: target, isDistrusted }, task)
  await writer.putBlobs(blobsOf(own))
  for (let attempt = 1; ; attempt += 1) {
    const seen = await writer.current()
    const written = await putRecords(engine, { writer, own, others: target.isReset ? [] : await otherRecords(engine, { target, own }, task) })
    const isLast = attempt === maxAttempts || target.isReset
    const lookedAt = performance.now()
    if (isLast || await writer.current() === seen) {
      await writer.point(written)
      if (isLast) return
      // Where looking and writing take long, on a busy machine or over a slow line, they do so for the others too.
      await sleep(settleMs + 2 * (performance.now() - lookedAt), undefined, { signal: task.signal })
      if (await writer.current() === sha256(written) || await holdsAll(engine, { target, own }, task)) return
    }
    await sleep(settleMs * Math.random() * attempt, undefined, { signal: task.signal })
  }
}

async function holdsAll(engine: Engine, { target, own }: { target: PlacedTarget; own: readonly SharedRecord[] }, task: Task<BuildEvent>): Promise<boolean> {
  const records = new Map((await readRecords(engine, target, task)).map((record) => [record.key, record]))
  return own.every(({ key, blob, diffId }) => {
    const there = records.get(key)
    // A layer that is there and would not be kept now is no reason to write.
    return there?.diffId === diffId && (blob === undefined || there.blob?.digest === blob.digest)
  })
}

async function ownRecords({ store }: Engine, { target, cache: { used, shared, images } }: { target: PlacedTarget; cache: CacheToWrite }, task: Task<BuildEvent>): Promise<SharedRecord[]> {
  const records: SharedRecord[] = []
  for (const [key, result] of used) {
    const diffId = result.diffIds.at(-1)
    if (result.chainId === undefined || diffId === undefined) continue
    const isKept = target.mode === 'max' ? !shared.lacksLayer(result) : images.some((diffIds) => isInImage(result, diffIds))
    let blob = isKept ? shared.blobAt(key, target) : undefined
    if (isKept && blob === undefined) {
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

async function otherRecords(engine: Engine, { target, own }: { target: CacheSource; own: readonly SharedRecord[] }, task: Task<BuildEvent>): Promise<SharedRecord[]> {
  const keys = new Set(own.map(({ key }) => key))
  const others = (await readRecords(engine, target, task)).filter(({ key }) => !keys.has(key))
  return others.sort((one, other) => (other.created ?? '').localeCompare(one.created ?? '')).slice(0, maxRecords - own.length)
}

/** None of an unreadable cache, which is written anew. */
async function readRecords(engine: Engine, target: CacheSource, task: Task<BuildEvent>): Promise<readonly SharedRecord[]> {
  try {
    return (await readSource(engine, target, task)).records
  } catch (error) {
    if (!isTrouble(error)) throw error
    return []
  }
}

/** Puts all there but the name. @returns the manifest */
async function putRecords({ store }: Engine, { writer, own, others }: { readonly writer: PlaceWriter; readonly own: readonly SharedRecord[]; readonly others: readonly SharedRecord[] }): Promise<Uint8Array> {
  const put = async (records: readonly SharedRecord[]): Promise<Uint8Array> => {
    const config = await store.content.write(encodeCacheConfig(records), cacheConfigType)
    const layers = blobsOf(records)
    await writer.putBlobs([...layers, config])
    const manifest: Manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers }
    return encodeDocument(manifest)
  }
  try {
    return await put([...own, ...others])
  } catch (error) {
    // A layer of another build is not there any more.
    if (others.length === 0 || !(error instanceof BlobMissing)) throw error
    return await put(own)
  }
}

function blobsOf(records: readonly SharedRecord[]): Descriptor[] {
  return [...new Map(records.flatMap(({ blob, diffId }) => blob === undefined ? [] : [[blob.digest, { ...blob, annotations: { 'containerd.io/uncompressed': diffId } }]])).values()]
}
