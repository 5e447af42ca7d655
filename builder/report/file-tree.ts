/** A directory or file of one layer, with all below it. */
export interface FileNode {
  readonly name: string
  readonly bytes: number
  readonly inodes: number
  /** Of a directory, the largest first. */
  readonly children: readonly FileNode[]
}

/** A tree that grows path by path. */
export class FileTree {
  bytes = 0
  inodes = 0
  readonly children = new Map<string, FileTree>()

  /** `path` without a leading slash; bytes and inodes count in every directory on the way. */
  add(path: readonly string[], bytes: number, inodes: number): void {
    this.bytes += bytes
    this.inodes += inodes
    const [name, ...rest] = path
    if (name === undefined) return
    const child = this.children.get(name) ?? new FileTree()
    this.children.set(name, child)
    child.add(rest, bytes, inodes)
  }

  /** The node with at most about `limit` nodes in it: what is small is summed up in one, `… 31 more`. */
  toNode(name: string, limit: number): FileNode {
    const least = { bytes: this.bytes / limit, inodes: this.inodes / limit }
    return this.#node(name, least)
  }

  #node(name: string, least: { readonly bytes: number; readonly inodes: number }): FileNode {
    const kept: FileNode[] = []
    const rest = { count: 0, bytes: 0, inodes: 0 }
    for (const [childName, child] of this.children) {
      if (child.bytes > least.bytes || child.inodes > least.inodes || this.children.size <= 3) {
        kept.push(child.#node(childName, least))
      } else {
        rest.count += 1
        rest.bytes += child.bytes
        rest.inodes += child.inodes
      }
    }
    kept.sort((one, other) => other.bytes - one.bytes || other.inodes - one.inodes)
    if (rest.count > 0) kept.push({ name: `… ${rest.count} more`, bytes: rest.bytes, inodes: rest.inodes, children: [] })
    return { name, bytes: this.bytes, inodes: this.inodes, children: kept }
  }
}
