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

interface HeldBlob { readonly size: Size; holders: number }
interface HeldLayer { readonly size: Size; readonly parent: HeldLayer | undefined; readonly blobs: readonly HeldBlob[]; holders: number }
/** What a root holds by itself. */
interface Reach { readonly tops: readonly HeldLayer[]; readonly blobs: readonly HeldBlob[] }

/**
 * Counts who holds each layer and blob: images, cache entries, leases, and layers those below them and the blobs of their
 * changeset. Letting a root go says what the next sweep frees for it, in time that grows with that alone.
 */
export class Holdings {
  readonly #layers = new Map<string, HeldLayer>()
  readonly #blobs: ReadonlyMap<string, HeldBlob>
  readonly #mounts = new Set<StockedMount>()
  /** Ids are looked up once: hashing them is most of the work. */
  readonly #reaches = new Map<Root, Reach>()

  constructor({ layers, blobs, layerBlobs, leases }: Inventory, roots: readonly Root[]) {
    this.#blobs = new Map([...blobs].map(([digest, size]) => [digest, { size, holders: 0 }]))
    for (const { chainId, diffId, parent, size } of layers.values()) {
      this.#layers.set(chainId, { size, parent: parent === undefined ? undefined : this.#layers.get(parent), blobs: findAll(this.#blobs, layerBlobs.get(diffId) ?? []), holders: 0 })
    }
    for (const root of roots) this.restore(root)
    hold({ tops: findAll(this.#layers, leases.layers), blobs: findAll(this.#blobs, leases.blobs) })
  }

  /** Everything that is held. */
  size(): Size {
    return addSizes([...[...this.#layers.values(), ...this.#blobs.values()].filter(({ holders }) => holders > 0), ...this.#mounts].map(({ size }) => size))
  }

  /** Everything in the store that nobody holds. */
  unheld(): Freed {
    const [layers, blobs] = [[...this.#layers.values()].filter(({ holders }) => holders === 0), [...this.#blobs.values()].filter(({ holders }) => holders === 0)]
    return { ...addSizes([...layers, ...blobs].map(({ size }) => size)), layers: layers.length, blobs: blobs.length }
  }

  /** @returns what nobody holds any more without this root, which must not be let go twice */
  release(root: Root): Freed {
    if (root.kind === 'mount') {
      this.#mounts.delete(root)
      return { ...root.size, layers: 0, blobs: 0 }
    }
    return letGo(this.#reachOf(root))
  }

  /** What `release` freed is held again. */
  restore(root: Root): void {
    if (root.kind === 'mount') this.#mounts.add(root)
    else hold(this.#reachOf(root))
  }

  #reachOf(root: Exclude<Root, StockedMount>): Reach {
    const known = this.#reaches.get(root)
    if (known !== undefined) return known
    const reach = { tops: findAll(this.#layers, root.tops), blobs: findAll(this.#blobs, root.kind === 'image' ? root.blobs : []) }
    this.#reaches.set(root, reach)
    return reach
  }
}

function hold({ tops, blobs }: Reach): void {
  for (const blob of blobs) blob.holders += 1
  for (const top of tops) {
    for (let layer: HeldLayer | undefined = top; layer !== undefined; layer = layer.parent) {
      layer.holders += 1
      // Held before, with all that it holds.
      if (layer.holders > 1) break
      for (const blob of layer.blobs) blob.holders += 1
    }
  }
}

function letGo({ tops, blobs }: Reach): Freed {
  const freed = { bytes: 0, inodes: 0, layers: 0, blobs: 0 }
  const take = ({ size }: HeldBlob | HeldLayer): void => {
    freed.bytes += size.bytes
    freed.inodes += size.inodes
  }
  const releaseBlob = (blob: HeldBlob): void => {
    blob.holders -= 1
    if (blob.holders > 0) return
    take(blob)
    freed.blobs += 1
  }
  blobs.forEach(releaseBlob)
  for (const top of tops) {
    for (let layer: HeldLayer | undefined = top; layer !== undefined; layer = layer.parent) {
      layer.holders -= 1
      if (layer.holders > 0) break
      take(layer)
      freed.layers += 1
      layer.blobs.forEach(releaseBlob)
    }
  }
  return freed
}

/** Those that are in the store. */
function findAll<Found>(known: ReadonlyMap<string, Found>, keys: Iterable<string>): Found[] {
  return [...keys].flatMap((key) => known.get(key) ?? [])
}
