import { IndexDamaged } from '../errors.ts'
import type { FileContent } from '../layer/changeset/changeset-entry.ts'
import { findEntryType } from '../layer/view/entry-type.ts'
import type { LayerTree, ListedName } from '../layer/view/layer-tree.ts'
import type { TreeEntry } from '../layer-store.ts'
import type { Inode, NamedInode } from './erofs-image.ts'
import { ErofsImage } from './erofs-image.ts'

const maxRemembered = 1024

/** A layer as its tar and an index of it. */
export class ErofsTree implements LayerTree {
  readonly #index: string
  readonly #tar: string
  readonly #directories = new Map<number, ReadonlyMap<string, NamedInode>>()
  #opened: ErofsImage | undefined

  constructor(index: string, tar: string) {
    this.#index = index
    this.#tar = tar
  }

  lstat(path: string): TreeEntry | undefined {
    const inode = this.#find(path)
    return inode === undefined ? undefined : this.#describe(inode)
  }

  list(path: string): ListedName[] {
    return [...this.#entries(this.#get(path))].map(([name, { number, isDevice }]) => ({ name, isWhiteout: isDevice && this.#image.inode(number).place === 0 }))
  }

  xattrs(path: string): ReadonlyMap<string, Buffer> {
    return this.#image.xattrs(this.#get(path))
  }

  content(path: string): FileContent {
    const inode = this.#get(path)
    if (inode.sizeBytes === 0) return { kind: 'bytes', bytes: new Uint8Array() }
    const { isInTar, offset } = this.#image.extent(inode)
    return { kind: 'range', file: isInTar ? this.#tar : this.#index, offset, sizeBytes: inode.sizeBytes }
  }

  get #image(): ErofsImage {
    this.#opened ??= new ErofsImage(this.#index)
    return this.#opened
  }

  #get(path: string): Inode {
    const inode = this.#find(path)
    if (inode === undefined) throw new TypeError(`nobody looked for "${path}" before`)
    return inode
  }

  #find(path: string): Inode | undefined {
    let inode = this.#image.inode(this.#image.root)
    for (const name of path === '' ? [] : path.split('/')) {
      const found = isDirectory(inode) ? this.#entries(inode).get(name) : undefined
      if (found === undefined) return undefined
      inode = this.#image.inode(found.number)
    }
    return inode
  }

  #entries(directory: Inode): ReadonlyMap<string, NamedInode> {
    const known = this.#directories.get(directory.number)
    if (known !== undefined) return known
    if (this.#directories.size >= maxRemembered) this.#directories.clear()
    const entries = this.#image.entries(directory)
    this.#directories.set(directory.number, entries)
    return entries
  }

  #describe(inode: Inode): TreeEntry {
    const type = findEntryType(inode.mode)
    if (type === undefined) throw new IndexDamaged(this.#index, `inode ${inode.number} has mode ${inode.mode}`)
    const device = type === 'char' || type === 'block' ? inode.place : 0
    return {
      type,
      mode: inode.mode & 0o7777,
      uid: inode.uid,
      gid: inode.gid,
      sizeBytes: type === 'file' ? inode.sizeBytes : 0,
      mtimeNs: inode.mtimeNs,
      major: device >>> 8 & 0xfff,
      minor: (device & 0xff) | (device >>> 12 & 0xfff00),
      fileId: `${this.#index}:${inode.number}`,
      nlink: inode.links,
      target: type === 'symlink' ? Buffer.from(this.#image.data(inode)) : undefined,
    }
  }
}

function isDirectory(inode: Inode): boolean {
  return findEntryType(inode.mode) === 'directory'
}
