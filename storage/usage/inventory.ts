import type { Row } from '../records/database.ts'
import { readInteger, readOptionalText, readText } from '../records/database.ts'
import { parseDigest } from '../../oci/digest.ts'
import type { Task } from '../../core/task.ts'
import { mountLockName } from '../mounts/cache-mounts.ts'
import { tryLock } from '../root/lock.ts'
import type { Store } from '../store.ts'
import type { StoreParts } from '../store-parts.ts'
import { getParts } from '../store-parts.ts'
import { measureFile } from './measure-paths.ts'
import type { Size } from './space.ts'

/** An image and when it last served. */
export interface StockedImage {
  readonly kind: 'image'
  readonly id: string
  readonly manifest: string
  readonly names: readonly string[]
  /** Its top layer; of an index those of its images. */
  readonly tops: readonly string[]
  readonly blobs: readonly string[]
  readonly createdAtMs: number
  readonly usedAtMs: number
  readonly isInUse: boolean
}

export interface StockedCacheEntry {
  readonly kind: 'cache'
  readonly key: string
  readonly tops: readonly [string]
  readonly createdAtMs: number
  readonly usedAtMs: number
  readonly isInUse: boolean
}

/** A directory that RUN --mount=type=cache keeps. */
export interface StockedMount {
  readonly kind: 'mount'
  readonly name: string
  /** As the Dockerfile calls it. */
  readonly id: string
  readonly size: Size
  readonly createdAtMs: number
  readonly usedAtMs: number
  readonly isInUse: boolean
}

export interface StockedLayer {
  readonly chainId: string
  readonly diffId: string
  readonly parent: string | undefined
  readonly size: Size
  readonly createdAtMs: number
  readonly usedAtMs: number
}

/** What the store holds, and who holds on to it: one look at the database, and at the size of each blob's file. */
export interface Inventory {
  readonly images: readonly StockedImage[]
  readonly cache: readonly StockedCacheEntry[]
  readonly mounts: readonly StockedMount[]
  /** Parents before children. */
  readonly layers: ReadonlyMap<string, StockedLayer>
  readonly blobs: ReadonlyMap<string, Size>
  /** Blobs that hold a changeset, by diffID. */
  readonly layerBlobs: ReadonlyMap<string, readonly string[]>
  /** What living processes lease. */
  readonly leases: { readonly layers: ReadonlySet<string>; readonly blobs: ReadonlySet<string> }
}

/** Walks cache mounts, which change and so have no counts on record. Not in a transaction. */
export async function stockMounts(store: Store, task: Task): Promise<StockedMount[]> {
  const { layout } = getParts(store)
  const mounts: StockedMount[] = []
  for (const { name, id, inodes, diskBytes, createdAtMs, usedAtMs } of await store.mounts.list(task)) {
    const lock = tryLock(layout, { name: mountLockName(name), exclusive: true })
    await lock?.[Symbol.asyncDispose]()
    mounts.push({ kind: 'mount', name, id, size: { bytes: diskBytes, inodes }, createdAtMs, usedAtMs, isInUse: lock === undefined })
  }
  return mounts
}

/** In a transaction, or what it says does not fit together. Leases of `dead` sessions do not count. */
export function takeInventory({ database, layout }: StoreParts, mounts: readonly StockedMount[], dead: readonly string[] = []): Inventory {
  const json = JSON.stringify(dead)
  const leased = (kind: 'layer' | 'blob'): Set<string> => new Set(database.all(
    'SELECT key FROM leases WHERE kind = ? AND session NOT IN (SELECT value FROM json_each(?))', kind, json,
  ).map((row) => readText(row, 'key')))
  const leases = { layers: leased('layer'), blobs: leased('blob') }
  const layers = new Map(database.all('SELECT chain_id, diff_id, parent, disk_bytes, inodes, created_ms, used_ms FROM layers ORDER BY id').map(parseLayer).map((layer) => [layer.chainId, layer]))
  const blobs = new Map(database.all('SELECT digest FROM blobs').map((row) => {
    const digest = readText(row, 'digest')
    return [digest, measureFile(layout.blob(parseDigest(digest)))]
  }))
  const imageBlobs = group(database.all('SELECT image, digest FROM image_blobs'), 'image', 'digest')
  const indexTops = group(database.all('SELECT image, chain_id FROM image_tops'), 'image', 'chain_id')
  const names = group(database.all('SELECT image, name FROM names ORDER BY name'), 'image', 'name')
  return {
    images: database.all('SELECT id, manifest, top_chain, created_ms FROM images ORDER BY created_ms, id').map((row): StockedImage => {
      const id = readText(row, 'id')
      const [manifest, top, createdAtMs] = [readText(row, 'manifest'), readOptionalText(row, 'top_chain'), readInteger(row, 'created_ms')]
      const tops = top === undefined ? indexTops.get(id) ?? [] : [top]
      const usedAtMs = Math.max(createdAtMs, ...tops.map((each) => layers.get(each)?.usedAtMs ?? 0))
      const isInUse = tops.some((each) => leases.layers.has(each)) || leases.blobs.has(manifest) || leases.blobs.has(id)
      return { kind: 'image', id, manifest, names: names.get(id) ?? [], tops, blobs: imageBlobs.get(id) ?? [], createdAtMs, usedAtMs, isInUse }
    }),
    cache: database.all('SELECT key, chain_id, created_ms, used_ms FROM cache ORDER BY used_ms, key').map((row): StockedCacheEntry => {
      const top = readText(row, 'chain_id')
      return { kind: 'cache', key: readText(row, 'key'), tops: [top], createdAtMs: readInteger(row, 'created_ms'), usedAtMs: readInteger(row, 'used_ms'), isInUse: leases.layers.has(top) }
    }),
    mounts,
    layers,
    blobs,
    layerBlobs: group(database.all('SELECT diff_id, digest FROM layer_blobs'), 'diff_id', 'digest'),
    leases,
  }
}

function parseLayer(row: Row): StockedLayer {
  return {
    chainId: readText(row, 'chain_id'),
    diffId: readText(row, 'diff_id'),
    parent: readOptionalText(row, 'parent'),
    size: { bytes: readInteger(row, 'disk_bytes'), inodes: readInteger(row, 'inodes') },
    createdAtMs: readInteger(row, 'created_ms'),
    usedAtMs: readInteger(row, 'used_ms'),
  }
}

function group(rows: readonly Row[], by: string, of: string): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const row of rows) {
    const key = readText(row, by)
    const members = groups.get(key)
    if (members === undefined) groups.set(key, [readText(row, of)])
    else members.push(readText(row, of))
  }
  return groups
}
