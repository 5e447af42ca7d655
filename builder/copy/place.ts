import type { ChangesetEntry, EntryMetadata, FileContent, RootfsView, TreeEntry } from '../../storage/index.ts'
import { compareEntryPaths } from '../../storage/index.ts'
import { CopyConflict } from './errors.ts'
import { cleanSource, joinPath, parentPath } from './select.ts'
import { TargetTree } from './target-tree.ts'

/** One thing to copy: a root with all it holds, or a heredoc's file. */
export interface CopyRoot {
  /** The last component of the source as it was named. */
  readonly name: Buffer
  /** The root first, then depth first. */
  readonly entries: readonly CopyEntry[]
  /** What rootDigest gives for it under a name, where that is known without going through the entries. */
  readonly digest?: ((name: Buffer) => Promise<string>) | undefined
  /** Not for --chmod: what comes out of an archive. */
  readonly keepsModes?: boolean
}

export interface CopyEntry {
  /** Below the root, empty for itself. */
  readonly relative: Buffer
  readonly entry: TreeEntry
  readonly xattrs: ReadonlyMap<string, Buffer>
  /** Of a regular file. */
  readonly content: FileContent | undefined
  /** Of the content, where it may be known without reading it. */
  readonly digest?: () => string
  /** Of a directory: one that is there already stays as it is. True for a root unless it is said otherwise. */
  readonly keepsExisting?: boolean
}

export interface CopyRules {
  /** Absolute; a trailing slash says that it is a directory. */
  readonly destination: string
  /** Owner of everything copied and of the directories made for it; undefined keeps the sources' and makes root's. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  /** The mode of what is copied, from the source's; directories made on the way have 0755 changed the same way. */
  readonly mode: (type: TreeEntry['type'], mode: number) => number
  readonly parentMode: number
}

/** Directories that COPY makes on the way have no time of their own; a fixed one keeps the layer reproducible. */
const madeDirectoryTime = 0n
const madeDirectory: TreeEntry = {
  type: 'directory', mode: 0o755, uid: 0, gid: 0, sizeBytes: 0, mtimeNs: madeDirectoryTime, major: 0, minor: 0, fileId: '', nlink: 1, target: undefined,
}

/**
 * The changeset of copying the roots, in order, onto a base: new entries, and the directories above them as they are.
 * Follows BuildKit: a file goes into an existing directory under its own name; a directory's contents are merged, those
 * below taking the source's metadata, while the top one keeps what it has, or is made like the directories above it; a
 * link at the destination is followed, one met while copying a tree is replaced.
 * @throws {CopyConflict} when a file would replace a directory or a directory something else
 */
export async function placeCopies(base: RootfsView, roots: readonly CopyRoot[], rules: CopyRules): Promise<ChangesetEntry[]> {
  const placement = new Placement(base, rules)
  for (const root of roots) await placement.addRoot(root)
  return placement.finish()
}

interface Placed {
  readonly path: Buffer
  readonly entry: TreeEntry
  readonly xattrs: ReadonlyMap<string, Buffer>
  readonly content: FileContent | undefined
  /** The same object for the hard links of one file. */
  readonly linkGroup: object | undefined
}

class Placement {
  readonly #base: RootfsView
  readonly #rules: CopyRules
  readonly #target: TargetTree
  readonly #placed = new Map<string, Placed>()

  constructor(base: RootfsView, rules: CopyRules) {
    this.#base = base
    this.#rules = rules
    this.#target = new TargetTree(base)
  }

  async addRoot(root: CopyRoot): Promise<void> {
    const top = root.entries[0]
    if (top === undefined) return
    const { destination } = this.#rules
    const clean = Buffer.from(cleanSource(destination))
    // --chmod is not for archives, nor for the directories made for one.
    const mode = root.keepsModes === true ? madeDirectory.mode : this.#rules.parentMode
    await this.#makeDirectories(await this.#target.resolve(destination.endsWith('/') ? clean : parentPath(clean)), mode)
    const resolved = await this.#target.resolve(clean)
    const isInto = top.entry.type !== 'directory' && (await this.#target.find(resolved))?.type === 'directory'
    const target = isInto ? joinPath(resolved, root.name) : resolved
    if (top.entry.type === 'directory') await this.#makeDirectories(target, mode)
    const linkGroups = new Map<string, object>()
    for (const copied of root.entries) await this.#add(root, copied, { target, linkGroups })
  }

  /** In the order a changeset has: depth first, names in byte order, so parents before what they hold. */
  finish(): ChangesetEntry[] {
    const sorted = [...this.#placed.values()].sort((one, other) => compareEntryPaths(one.path, other.path))
    const firstOfGroup = new Map<object, Buffer>()
    return sorted.map(({ path, entry, xattrs, content, linkGroup }) => {
      const relative = path.subarray(1)
      const first = linkGroup === undefined ? undefined : firstOfGroup.get(linkGroup)
      if (first !== undefined) return { path: relative, type: 'hard-link', target: first, ...metadataOf(entry, xattrs) }
      if (linkGroup !== undefined) firstOfGroup.set(linkGroup, relative)
      return changesetEntry(relative, entry, { xattrs, content })
    })
  }

  async #add(root: CopyRoot, copied: CopyEntry, { target, linkGroups }: { target: Buffer; linkGroups: Map<string, object> }): Promise<void> {
    const isTop = copied.relative.length === 0
    const path = isTop ? target : joinPath(target, copied.relative)
    const existing = path.length === 1 ? madeDirectory : await this.#target.find(path)
    this.#refuseConflict(path, copied.entry, existing)
    if (copied.entry.type === 'directory' && (copied.keepsExisting ?? isTop) && existing !== undefined) return this.#keepDirectories(path)
    await this.#keepDirectories(parentPath(path))
    const { xattrs, content } = copied
    this.#put({ path, entry: this.#owned(copied.entry, root.keepsModes === true), xattrs, content, linkGroup: linkGroupOf(copied.entry, linkGroups) }, existing === undefined)
  }

  #refuseConflict(path: Buffer, entry: TreeEntry, existing: { type: TreeEntry['type'] } | undefined): void {
    if (existing === undefined) return
    if (entry.type === 'directory' && existing.type !== 'directory') throw new CopyConflict(path.toString(), 'directory', existing.type)
    if (entry.type !== 'directory' && existing.type === 'directory') throw new CopyConflict(path.toString(), entry.type, 'directory')
  }

  /** Makes what is missing of a path that has no links. */
  async #makeDirectories(path: Buffer, mode: number): Promise<void> {
    if (path.length === 1) return
    const existing = await this.#target.find(path)
    if (existing?.type === 'directory') return
    if (existing !== undefined) throw new CopyConflict(path.toString(), 'directory', existing.type)
    await this.#makeDirectories(parentPath(path), mode)
    await this.#keepDirectories(parentPath(path))
    this.#put({ path, entry: { ...madeDirectory, mode, ...this.#rules.owner }, xattrs: new Map(), content: undefined, linkGroup: undefined }, true)
  }

  /** Repeats the base's directories on the way to a new entry: an unpacker that makes missing parents must not invent their metadata. */
  async #keepDirectories(path: Buffer): Promise<void> {
    if (path.length === 1 || this.#placed.has(path.toString('latin1'))) return
    await this.#keepDirectories(parentPath(path))
    const entry = await this.#base.lstat(path)
    if (entry === undefined) throw new CopyConflict(path.toString(), 'directory', 'missing')
    this.#put({ path, entry, xattrs: await this.#base.xattrs(path), content: undefined, linkGroup: undefined }, false)
  }

  #owned(entry: TreeEntry, keepsMode: boolean): TreeEntry {
    const mode = keepsMode || entry.type === 'symlink' ? entry.mode : this.#rules.mode(entry.type, entry.mode)
    return { ...entry, mode, ...this.#rules.owner }
  }

  #put(placed: Placed, isNew: boolean): void {
    this.#placed.set(placed.path.toString('latin1'), placed)
    this.#target.place(placed.path, placed.entry, isNew)
  }
}

function linkGroupOf(entry: TreeEntry, groups: Map<string, object>): object | undefined {
  if (entry.type !== 'file' || entry.nlink < 2) return undefined
  const found = groups.get(entry.fileId)
  if (found !== undefined) return found
  const group = {}
  groups.set(entry.fileId, group)
  return group
}

/** An entry of a view as a changeset has it. Sockets have none. */
export function changesetEntry(path: Buffer, entry: TreeEntry, { xattrs, content }: Pick<CopyEntry, 'xattrs' | 'content'>): ChangesetEntry {
  const metadata = metadataOf(entry, xattrs)
  switch (entry.type) {
    case 'file':
      if (content === undefined) throw new TypeError(`file ${path.toString()} has no content`)
      return { path, type: 'file', content, ...metadata }
    case 'symlink': return { path, type: 'symlink', target: entry.target ?? Buffer.alloc(0), ...metadata }
    case 'char':
    case 'block': return { path, type: entry.type, major: entry.major, minor: entry.minor, ...metadata }
    case 'directory':
    case 'fifo': return { path, type: entry.type, ...metadata }
    case 'socket': throw new TypeError(`socket ${path.toString()} was to be left out`)
  }
}

export function metadataOf({ mode, uid, gid, mtimeNs }: TreeEntry, xattrs: ReadonlyMap<string, Buffer>): EntryMetadata {
  return { mode, uid, gid, mtimeNs, xattrs }
}
