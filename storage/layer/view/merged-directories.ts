import { lstatSync, readdirSync } from 'node:fs'
import { isErrno } from '../../../core/errors.ts'
import { getAddon } from '../../../native/index.ts'
import type { OverlayXattrs } from '../../tree/tree-helper.ts'

/** One directory as overlayfs would show it. Names are Latin-1, one character a byte. */
export interface MergedDirectory {
  /** The host directory of the top layer that has the name, by name; whiteouts and what they hide are left out. */
  readonly places: ReadonlyMap<string, string>
  /** Directories of the host that make it up, top first. */
  readonly parts: readonly string[]
}

const maxRemembered = 4096

/** Looks into layers, which do not change, so that what was seen once stays true. Paths have no links and no `.` or `..`. */
export class MergedDirectories {
  readonly #roots: readonly string[]
  readonly #opaqueXattr: string
  readonly #seen = new Map<string, MergedDirectory | undefined>()

  constructor(roots: readonly string[], xattrs: OverlayXattrs) {
    this.#roots = roots
    this.#opaqueXattr = `${xattrs}.overlay.opaque`
  }

  /** @returns undefined when there is no directory at the path, given as its components */
  find(components: readonly string[]): MergedDirectory | undefined {
    const key = components.join('/')
    if (this.#seen.has(key)) return this.#seen.get(key)
    if (this.#seen.size >= maxRemembered) this.#seen.clear()
    const parts = this.#findParts(components)
    const found = parts.length === 0 && components.length > 0 ? undefined : { parts, places: this.#list(parts) }
    this.#seen.set(key, found)
    return found
  }

  #findParts(components: readonly string[]): string[] {
    const name = components.at(-1)
    if (name === undefined) return [...this.#roots]
    const above = this.find(components.slice(0, -1))
    if (above?.places.has(name) !== true) return []
    const parts: string[] = []
    for (const part of above.parts) {
      const path = `${part}/${name}`
      const type = findType(path)
      if (type === 'missing') continue
      if (type !== 'directory') break
      parts.push(path)
      if (getAddon().getXattr(hostPath(path), this.#opaqueXattr)?.toString() === 'y') break
    }
    return parts
  }

  #list(parts: readonly string[]): Map<string, string> {
    const places = new Map<string, string>()
    const hidden = new Set<string>()
    for (const part of parts) {
      for (const entry of readdirSync(hostPath(part), { encoding: 'buffer', withFileTypes: true })) {
        const name = entry.name.toString('latin1')
        if (places.has(name) || hidden.has(name)) continue
        if (entry.isCharacterDevice() && lstatSync(hostPath(`${part}/${name}`)).rdev === 0) hidden.add(name)
        else places.set(name, part)
      }
    }
    return places
  }
}

/** A path of Latin-1 characters as the bytes they stand for. */
export function hostPath(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}

function findType(path: string): 'missing' | 'directory' | 'other' {
  try {
    return lstatSync(hostPath(path)).isDirectory() ? 'directory' : 'other'
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return 'missing'
    throw error
  }
}
