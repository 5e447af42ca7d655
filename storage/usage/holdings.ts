import type { Inventory, StockedCacheEntry, StockedImage, StockedMount } from './inventory.ts'
import type { Size } from './space.ts'
import { addSizes, nothing } from './space.ts'

/** What keeps layers and blobs alive and can be removed. */
export type Root = StockedImage | StockedCacheEntry | StockedMount

/** What goes when something is let go. */
export interface Freed extends Size {
  readonly layers: number
  readonly blobs: number
}

export const nothingFreed: Freed = { ...nothing, layers: 0, blobs: 0 }

/**
 * Counts who holds each layer and blob: images, cache entries, leases, and layers those below them and the blobs of their
 * changeset. Letting a root go says what the next sweep frees for it, in time that grows with that alone.
 */
export class Holdings {
  readonly #inventory: Inventory
  readonly #layers = new Map<string, number>()
  readonly #blobs = new Map<string, number>()
  readonly #mounts = new Set<StockedMount>()

  constructor(inventory: Inventory, roots: readonly Root[]) {
    this.#inventory = inventory
    for (const root of roots) this.restore(root)
    for (const chainId of inventory.leases.layers) this.#hold([chainId], [])
    this.#hold([], inventory.leases.blobs)
  }

  hasLayer(chainId: string): boolean {
    return this.#layers.has(chainId)
  }

  hasBlob(digest: string): boolean {
    return this.#blobs.has(digest)
  }

  /** Everything that is held. */
  size(): Size {
    const { layers, blobs } = this.#inventory
    return addSizes([
      ...[...this.#layers.keys()].map((chainId) => layers.get(chainId)?.size ?? nothing),
      ...[...this.#blobs.keys()].map((digest) => blobs.get(digest) ?? nothing),
      ...[...this.#mounts].map(({ size }) => size),
    ])
  }

  /** Everything in the store that nobody holds. */
  unheld(): Freed {
    const { layers, blobs } = this.#inventory
    const looseLayers = [...layers.values()].filter(({ chainId }) => !this.hasLayer(chainId))
    const looseBlobs = [...blobs].filter(([digest]) => !this.hasBlob(digest))
    return { ...addSizes([...looseLayers.map(({ size }) => size), ...looseBlobs.map(([, size]) => size)]), layers: looseLayers.length, blobs: looseBlobs.length }
  }

  /** @returns what nobody holds any more without this root, which must not be let go twice */
  release(root: Root): Freed {
    if (root.kind === 'mount') {
      this.#mounts.delete(root)
      return { ...root.size, layers: 0, blobs: 0 }
    }
    const freed = { bytes: 0, inodes: 0, layers: 0, blobs: 0 }
    const take = (size: Size): void => {
      freed.bytes += size.bytes
      freed.inodes += size.inodes
    }
    const releaseBlob = (digest: string): void => {
      if (!decrease(this.#blobs, digest)) return
      const size = this.#inventory.blobs.get(digest)
      if (size === undefined) return
      take(size)
      freed.blobs += 1
    }
    if (root.kind === 'image') root.blobs.forEach(releaseBlob)
    const releaseStack = (top: string): void => {
      for (let chainId: string | undefined = top; chainId !== undefined && decrease(this.#layers, chainId);) {
        const layer = this.#inventory.layers.get(chainId)
        if (layer === undefined) break
        take(layer.size)
        freed.layers += 1
        this.#inventory.layerBlobs.get(layer.diffId)?.forEach(releaseBlob)
        chainId = layer.parent
      }
    }
    root.tops.forEach(releaseStack)
    return freed
  }

  /** What `release` freed is held again. */
  restore(root: Root): void {
    if (root.kind === 'mount') this.#mounts.add(root)
    else this.#hold(root.tops, root.kind === 'image' ? root.blobs : [])
  }

  #hold(tops: readonly string[], blobs: Iterable<string>): void {
    for (const digest of blobs) increase(this.#blobs, digest)
    for (const top of tops) this.#holdStack(top)
  }

  #holdStack(top: string): void {
    for (let chainId: string | undefined = top; chainId !== undefined && increase(this.#layers, chainId) === 1;) {
      const layer = this.#inventory.layers.get(chainId)
      if (layer === undefined) break
      for (const digest of this.#inventory.layerBlobs.get(layer.diffId) ?? []) increase(this.#blobs, digest)
      chainId = layer.parent
    }
  }
}

function increase(counts: Map<string, number>, key: string): number {
  const count = (counts.get(key) ?? 0) + 1
  counts.set(key, count)
  return count
}

/** @returns whether nobody is left */
function decrease(counts: Map<string, number>, key: string): boolean {
  const count = (counts.get(key) ?? 0) - 1
  if (count > 0) counts.set(key, count)
  else counts.delete(key)
  return count === 0
}
