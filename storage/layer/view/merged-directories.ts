import type { OverlayXattrs } from '../../tree/tree-helper.ts'
import type { LayerTree } from './layer-tree.ts'

/** One directory as overlayfs would show it. Names are Latin-1, one character a byte. */
export interface MergedDirectory {
  /** The top layer that has the name, by name; whiteouts and what they hide are left out. */
  readonly places: ReadonlyMap<string, LayerTree>
  /** The layers that make it up, top first. */
  readonly parts: readonly LayerTree[]
}

const maxRemembered = 4096

/** Looks into layers, which do not change, so that what was seen once stays true. Paths have no links and no `.` or `..`. */
export class MergedDirectories {
  readonly #layers: readonly LayerTree[]
  readonly #opaqueXattr: string
  readonly #seen = new Map<string, MergedDirectory | undefined>()

  constructor(layers: readonly LayerTree[], xattrs: OverlayXattrs) {
    this.#layers = layers
    this.#opaqueXattr = `${xattrs}.overlay.opaque`
  }

  /** @returns undefined when there is no directory at the path, given as its components */
  find(components: readonly string[]): MergedDirectory | undefined {
    const key = components.join('/')
    if (this.#seen.has(key)) return this.#seen.get(key)
    if (this.#seen.size >= maxRemembered) this.#seen.clear()
    const parts = this.#findParts(components)
    const found = parts.length === 0 && components.length > 0 ? undefined : { parts, places: this.#list(parts, key) }
    this.#seen.set(key, found)
    return found
  }

  #findParts(components: readonly string[]): LayerTree[] {
    const name = components.at(-1)
    if (name === undefined) return [...this.#layers]
    const above = this.find(components.slice(0, -1))
    if (above?.places.has(name) !== true) return []
    const path = components.join('/')
    const parts: LayerTree[] = []
    for (const part of above.parts) {
      const entry = part.lstat(path)
      if (entry === undefined) continue
      if (entry.type !== 'directory') break
      parts.push(part)
      if (part.xattrs(path).get(this.#opaqueXattr)?.toString() === 'y') break
    }
    return parts
  }

  #list(parts: readonly LayerTree[], path: string): Map<string, LayerTree> {
    const places = new Map<string, LayerTree>()
    const hidden = new Set<string>()
    for (const part of parts) {
      for (const { name, isWhiteout } of part.list(path)) {
        if (places.has(name) || hidden.has(name)) continue
        if (isWhiteout) hidden.add(name)
        else places.set(name, part)
      }
    }
    return places
  }
}
