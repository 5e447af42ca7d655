import type { Task } from '../../core/task.ts'
import type { Store } from '../store.ts'
import { getParts } from '../store-parts.ts'
import { findDeadSessions } from '../root/session.ts'
import type { Freed, Root } from './holdings.ts'
import { Holdings } from './holdings.ts'
import type { Inventory, StockedCacheEntry, StockedImage, StockedLayer, StockedMount } from './inventory.ts'
import { stockMounts, takeInventory } from './inventory.ts'
import type { Overhead } from './overhead.ts'
import { findOverhead, measureOverhead } from './overhead.ts'
import type { Size, Space } from './space.ts'
import { addSizes, nothing, readSpace, subtractSizes } from './space.ts'

/** What the store takes of its filesystem, and for whom. Layers have their counts on record and are not walked, all else is. */
export interface DiskUsage extends Pick<Overhead, 'quarantine' | 'reserve' | 'own' | 'records'> {
  readonly space: Space
  readonly images: Category
  readonly cache: Category
  readonly mounts: Category
  /** What only running processes hold, what they are making, and what has arrived of blobs. */
  readonly underway: Size
  /** What nobody holds, leftovers of dead processes included: the next gc frees it. */
  readonly garbage: Freed
  /** Of all these: every byte and inode in the store's folder, once. */
  readonly total: Size
  /** What goes when everything that no running process uses is removed. */
  readonly reclaimable: Size
  readonly perImage: readonly HolderUsage<StockedImage>[]
  readonly perCacheEntry: readonly HolderUsage<StockedCacheEntry>[]
  readonly perMount: readonly StockedMount[]
  readonly perLayer: readonly LayerUsage[]
}

export interface Category {
  readonly count: number
  readonly inUse: number
  /** Held by these; what images hold too is counted with the images only. */
  readonly size: Size
  /** What goes when all of these that no running process uses are removed, and all else stays. */
  readonly reclaimable: Size
}

export interface HolderUsage<Holder> {
  readonly holder: Holder
  readonly size: Size
  /** Also held by another image, cache entry or process. */
  readonly shared: Size
  /** Goes when this is removed, and all else stays. */
  readonly unique: Size
}

export interface LayerUsage {
  readonly layer: StockedLayer
  /** Its blobs included. */
  readonly size: Size
  /** How many of them are on top of it, or are it. */
  readonly images: number
  readonly cacheEntries: number
  readonly isInUse: boolean
}

export async function measureUsage(store: Store, task: Task): Promise<DiskUsage> {
  const parts = getParts(store)
  const mounts = await stockMounts(store, task)
  const { inventory, paths } = parts.database.transaction('quick', () => {
    const dead = findDeadSessions(parts.layout, parts.database, parts.session.id)
    const found = takeInventory(parts, mounts, dead)
    return { inventory: found, paths: findOverhead(parts, found, dead) }
  })
  const { unfinished, leftovers, quarantine, reserve, records, own } = await measureOverhead(store.root, paths, task)
  const { images, cache } = inventory
  const roots: readonly Root[] = [...images, ...cache, ...mounts]
  const holdings = new Holdings(inventory, roots)
  const held = holdings.size()
  const unheld = holdings.unheld()
  const garbage = { ...unheld, ...addSizes([unheld, leftovers]) }
  const unleased = new Holdings({ ...inventory, leases: { layers: new Set(), blobs: new Set() } }, roots)
  const ofRoots = unleased.size()
  const ofCache = addSizes(cache.map((entry) => unleased.release(entry)))
  const ofMounts = addSizes(mounts.map(({ size }) => size))
  return {
    space: readSpace(store.root),
    images: { ...count(images), size: subtractSizes(ofRoots, addSizes([ofCache, ofMounts])), reclaimable: releasable(holdings, images) },
    cache: { ...count(cache), size: ofCache, reclaimable: releasable(holdings, cache) },
    mounts: { ...count(mounts), size: ofMounts, reclaimable: releasable(holdings, mounts) },
    underway: addSizes([subtractSizes(held, ofRoots), unfinished]),
    garbage,
    quarantine, reserve, records, own,
    total: addSizes([held, garbage, unfinished, quarantine, reserve, own, ...records.map(({ size }) => size)]),
    reclaimable: addSizes([releasable(holdings, roots), garbage]),
    perImage: images.map((image) => measureHolder(inventory, holdings, image)),
    perCacheEntry: cache.map((entry) => measureHolder(inventory, holdings, entry)),
    perMount: mounts,
    perLayer: measureLayers(inventory),
  }
}

function count(holders: readonly Root[]): { count: number; inUse: number } {
  return { count: holders.length, inUse: holders.filter(({ isInUse }) => isInUse).length }
}

function releasable(holdings: Holdings, roots: readonly Root[]): Size {
  const released = roots.filter(({ isInUse }) => !isInUse)
  const freed = addSizes(released.map((root) => holdings.release(root)))
  for (const root of released) holdings.restore(root)
  return freed
}

function measureHolder<Holder extends StockedImage | StockedCacheEntry>(inventory: Inventory, holdings: Holdings, holder: Holder): HolderUsage<Holder> {
  const size = holderSize(inventory, holder)
  const unique = holdings.release(holder)
  holdings.restore(holder)
  return { holder, size, unique: { bytes: unique.bytes, inodes: unique.inodes }, shared: subtractSizes(size, unique) }
}

function holderSize(inventory: Inventory, holder: StockedImage | StockedCacheEntry): Size {
  const digests = new Set(holder.kind === 'image' ? holder.blobs : [])
  const sizes: Size[] = []
  for (const layer of stackOf(inventory, holder.tops)) {
    sizes.push(layer.size)
    for (const digest of inventory.layerBlobs.get(layer.diffId) ?? []) digests.add(digest)
  }
  return addSizes([...sizes, ...[...digests].map((digest) => inventory.blobs.get(digest) ?? nothing)])
}

/** Each layer once, however many of the stacks have it. */
function stackOf({ layers }: Inventory, tops: readonly string[]): Set<StockedLayer> {
  const found = new Set<StockedLayer>()
  for (const top of tops) for (let layer = layers.get(top); layer !== undefined && !found.has(layer); layer = layers.get(layer.parent ?? '')) found.add(layer)
  return found
}

function measureLayers(inventory: Inventory): LayerUsage[] {
  const images = countBelow(inventory, inventory.images)
  const cacheEntries = countBelow(inventory, inventory.cache)
  const inUse = countBelow(inventory, [...inventory.leases.layers].map((top) => ({ tops: [top] })))
  return [...inventory.layers.values()].map((layer) => ({
    layer,
    size: addSizes([layer.size, ...(inventory.layerBlobs.get(layer.diffId) ?? []).map((digest) => inventory.blobs.get(digest) ?? nothing)]),
    images: images.get(layer.chainId) ?? 0,
    cacheEntries: cacheEntries.get(layer.chainId) ?? 0,
    isInUse: inUse.has(layer.chainId),
  }))
}

/** How many of the tops each layer is part of: counted at the tops, then handed down from children to parents. */
function countBelow(inventory: Inventory, holders: readonly { readonly tops: readonly string[] }[]): Map<string, number> {
  const counts = new Map<string, number>()
  const add = (chainId: string, more: number): void => { counts.set(chainId, (counts.get(chainId) ?? 0) + more) }
  for (const { tops: [top, ...others] } of holders) if (top !== undefined && others.length === 0) add(top, 1)
  for (const { chainId, parent } of [...inventory.layers.values()].reverse()) {
    const own = counts.get(chainId)
    if (own !== undefined && parent !== undefined) add(parent, own)
  }
  for (const { tops } of holders) if (tops.length > 1) for (const { chainId } of stackOf(inventory, tops)) add(chainId, 1)
  return counts
}
