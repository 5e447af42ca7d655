/** A file that takes room in one layer and that a later one hides. */
export interface WastedFile {
  readonly path: string
  readonly bytes: number
  /** Where it lies, and which hides it; layers count from 0, oldest first. */
  readonly layer: number
  readonly by: number
  readonly how: 'replaced' | 'deleted'
}

interface Added { readonly layer: number; readonly bytes: number; readonly inodes: number; readonly isDirectory: boolean }

class Place {
  own: Added | undefined
  readonly children = new Map<string, Place>()
}

/** Follows a tree through its layers, in order, and finds what each leaves of those below it to no use. */
export class WasteFinder {
  readonly #root = new Place()
  readonly #files: WastedFile[] = []
  #bytes = 0
  #inodes = 0

  add(path: readonly string[], added: Added): void {
    let place = this.#root
    for (const name of path) {
      const child = place.children.get(name) ?? new Place()
      place.children.set(name, child)
      place = child
    }
    // Directories are merged; a file in the place of one, or of another file, hides it.
    if (place.own !== undefined && place.own.layer !== added.layer && !(place.own.isDirectory && added.isDirectory)) this.#waste(place, { path, by: added.layer, how: 'replaced' })
    place.own = added
  }

  /** A whiteout, or a directory whose content from below is hidden. */
  hide(path: readonly string[], { layer, isOpaque }: { readonly layer: number; readonly isOpaque: boolean }): void {
    let place: Place | undefined = this.#root
    for (const name of path) place = place?.children.get(name)
    if (place === undefined) return
    if (isOpaque) {
      for (const [name, child] of place.children) this.#waste(child, { path: [...path, name], by: layer, how: 'deleted' })
    } else {
      this.#waste(place, { path, by: layer, how: 'deleted' })
    }
  }

  result(count: number): { readonly bytes: number; readonly inodes: number; readonly largest: readonly WastedFile[] } {
    return { bytes: this.#bytes, inodes: this.#inodes, largest: this.#files.toSorted((one, other) => other.bytes - one.bytes).slice(0, count) }
  }

  #waste(place: Place, { path, by, how }: { readonly path: readonly string[]; readonly by: number; readonly how: WastedFile['how'] }): void {
    const { own } = place
    if (own !== undefined && own.layer < by) {
      this.#bytes += own.bytes
      this.#inodes += own.inodes
      if (!own.isDirectory) this.#files.push({ path: `/${path.join('/')}`, bytes: own.bytes, layer: own.layer, by, how })
      place.own = undefined
    }
    for (const [name, child] of place.children) this.#waste(child, { path: [...path, name], by, how })
  }
}
