import { posix } from 'node:path'
import type { LayerEntry } from './layer-entry.ts'

/** What a path is at some layer, and which layer made it so. */
export interface TreeNode {
  readonly path: string
  readonly entry: LayerEntry
  /** Counted from 0, the bottom. */
  readonly layer: number
}

/** Something a layer brought and a later one took out of sight: it is still stored and transferred. */
export interface Waste {
  readonly path: string
  /** `rewritten`: with the same content and other metadata, as chown and chmod do it. */
  readonly kind: 'overwritten' | 'rewritten' | 'deleted'
  readonly bytes: number
  readonly inodes: number
  /** That brought it, and that hid it. */
  readonly layer: number
  readonly hiddenBy: number
}

interface Branch {
  node: TreeNode | undefined
  readonly children: Map<string, Branch>
}

/** A root filesystem put together layer by layer. */
export class MergedTree {
  readonly #root: Branch = { node: undefined, children: new Map() }
  /** How many names a file still has, by where it was brought. */
  readonly #names = new Map<LayerEntry, number>()
  readonly #waste: Waste[] = []

  /** Whiteouts hide what lies below and nothing of their own layer, wherever they stand. */
  apply(entries: readonly LayerEntry[], layer: number): void {
    for (const entry of entries) {
      if (entry.type === 'opaque') this.#clear(this.#find(entry.path), layer)
      if (entry.type === 'whiteout') this.#remove(entry.path, layer)
    }
    for (const entry of entries) if (entry.type !== 'opaque' && entry.type !== 'whiteout') this.#put(entry, layer)
  }

  get waste(): readonly Waste[] {
    return this.#waste
  }

  find(path: string): TreeNode | undefined {
    return this.#find(path)?.node
  }

  /** In byte order of paths, directories before what is in them. */
  * list(): Generator<TreeNode, void, undefined> {
    yield* listBranch(this.#root)
  }

  #put(entry: LayerEntry, layer: number): void {
    const branch = this.#make(entry.path)
    const before = branch.node
    const source = entry.type === 'hard-link' ? this.#find(entry.target ?? '')?.node?.entry ?? entry : entry
    this.#names.set(source, (this.#names.get(source) ?? 0) + 1)
    if (before !== undefined) this.#hide(before, layer, entry)
    if (entry.type !== 'directory') this.#clear(branch, layer)
    branch.node = { path: entry.path, entry: source === entry ? entry : { ...source, path: entry.path, type: 'hard-link', target: entry.target }, layer }
    if (source !== entry) this.#sources.set(branch.node.entry, source)
  }

  /** Of a further name the entry that has the bytes. */
  readonly #sources = new Map<LayerEntry, LayerEntry>()

  #hide(node: TreeNode, hiddenBy: number, by: LayerEntry | undefined): void {
    if (node.entry.type === 'directory' && by?.type === 'directory') return
    const source = this.#sources.get(node.entry) ?? node.entry
    const names = (this.#names.get(source) ?? 1) - 1
    this.#names.set(source, names)
    // Within one layer the later entry replaces the earlier one and both are in the tar; that is not what layers waste.
    if (names > 0 || node.layer === hiddenBy) return
    const kind = by === undefined ? 'deleted' : by.type === 'file' && by.sizeBytes === source.sizeBytes && by.digest === source.digest ? 'rewritten' : 'overwritten'
    this.#waste.push({ path: node.path, kind, bytes: source.sizeBytes, inodes: 1, layer: node.layer, hiddenBy })
  }

  #remove(path: string, layer: number): void {
    const parent = this.#find(posix.dirname(path))
    const branch = parent?.children.get(posix.basename(path))
    if (branch === undefined) return
    this.#clear(branch, layer)
    if (branch.node !== undefined) this.#hide(branch.node, layer, undefined)
    parent?.children.delete(posix.basename(path))
  }

  #clear(branch: Branch | undefined, layer: number): void {
    if (branch === undefined) return
    for (const child of branch.children.values()) {
      this.#clear(child, layer)
      if (child.node !== undefined) this.#hide(child.node, layer, undefined)
    }
    branch.children.clear()
  }

  #find(path: string): Branch | undefined {
    let branch: Branch | undefined = this.#root
    for (const name of split(path)) branch = branch?.children.get(name)
    return branch
  }

  #make(path: string): Branch {
    let branch = this.#root
    for (const name of split(path)) {
      const next: Branch = branch.children.get(name) ?? { node: undefined, children: new Map() }
      branch.children.set(name, next)
      branch = next
    }
    return branch
  }
}

function* listBranch(branch: Branch): Generator<TreeNode, void, undefined> {
  if (branch.node !== undefined) yield branch.node
  for (const [, child] of [...branch.children].sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)))) yield* listBranch(child)
}

function split(path: string): string[] {
  return path.split('/').filter((name) => name !== '')
}
