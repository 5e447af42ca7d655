import type { RootfsView, TreeEntry } from '../../storage/index.ts'
import { DestinationLinkLoop } from './errors.ts'
import { joinPath, parentPath } from './select.ts'

/** What lies at a path of the target: the node is the placement's own, or undefined for what the base has. */
export interface TargetEntry {
  readonly type: TreeEntry['type']
  readonly target: Buffer | undefined
}

const maxLinks = 40
const slash = Buffer.from('/')

/**
 * The root filesystem a COPY writes to, as it is while the copy goes on: what was placed already lies over the base.
 * Paths are absolute and, but for those given to `resolve`, free of links.
 */
export class TargetTree {
  readonly #base: RootfsView
  readonly #placed = new Map<string, TargetEntry>()
  /** Directories that the base does not have: nothing of the base is below them. */
  readonly #fresh = new Set<string>()

  constructor(base: RootfsView) {
    this.#base = base
  }

  async find(path: Buffer): Promise<TargetEntry | undefined> {
    const placed = this.#placed.get(path.toString('latin1'))
    if (placed !== undefined) return placed
    return this.#isBelowFresh(path) ? undefined : this.#base.lstat(path)
  }

  place(path: Buffer, entry: TargetEntry, isNew: boolean): void {
    const key = path.toString('latin1')
    this.#placed.set(key, entry)
    if (entry.type === 'directory' && isNew) this.#fresh.add(key)
  }

  /** The path with all links followed inside the root, its missing end appended. @throws {DestinationLinkLoop} */
  async resolve(path: Buffer): Promise<Buffer> {
    const pending = splitPath(path)
    let resolved: Buffer = slash
    for (let links = 0; ;) {
      const component = pending.shift()
      if (component === undefined) return resolved
      if (component.toString('latin1') === '..') {
        resolved = parentPath(resolved)
        continue
      }
      const next = joinPath(resolved, component)
      const entry = await this.find(next)
      if (entry?.type !== 'symlink' || entry.target === undefined) {
        resolved = next
        continue
      }
      links += 1
      if (links > maxLinks) throw new DestinationLinkLoop(path.toString())
      pending.unshift(...splitPath(entry.target))
      if (entry.target[0] === 0x2f) resolved = slash
    }
  }

  #isBelowFresh(path: Buffer): boolean {
    if (this.#fresh.size === 0) return false
    for (let folder = parentPath(path); folder.length > 1; folder = parentPath(folder)) {
      if (this.#fresh.has(folder.toString('latin1'))) return true
    }
    return false
  }
}

function splitPath(path: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let start = 0; start <= path.length;) {
    const found = path.indexOf(0x2f, start)
    const end = found === -1 ? path.length : found
    const part = path.subarray(start, end)
    if (part.length > 0 && !(part.length === 1 && part[0] === 0x2e)) parts.push(part)
    start = end + 1
  }
  return parts
}
