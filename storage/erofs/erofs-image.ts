import { closeSync, openSync, readSync } from 'node:fs'
import { IndexDamaged } from '../errors.ts'

/** What native/helper/erofs/format.h describes. */
const superblock = 1024
const magic = 0xe0f5e1e2
const blockBits = 9
const block = 1 << blockBits
const slot = 32
const inodeBytes = 64
const layouts = { plain: 0, inline: 2, chunks: 4 } as const
const characterDevice = 3
const pageBytes = 64 * 1024
const maxPages = 256

export interface Inode {
  readonly number: number
  /** With the type. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly mtimeNs: bigint
  readonly links: number
  /** First block, device number, or form of the chunks. */
  readonly place: number
  readonly layout: number
  readonly xattrBytes: number
}

/** What a directory says of a name. */
export interface NamedInode {
  readonly number: number
  /** A character device, which a whiteout is. */
  readonly isDevice: boolean
}

/** Where a file's bytes lie: in the tar, or in the image itself. */
export interface Extent { readonly isInTar: boolean; readonly offset: number }

const xattrPrefixes: ReadonlyMap<number, string> = new Map([
  [1, 'user.'], [2, 'system.posix_acl_access'], [3, 'system.posix_acl_default'], [4, 'trusted.'], [6, 'security.'],
])

/** Reads an EROFS image of our own making, without mounting it. @throws {IndexDamaged} */
export class ErofsImage {
  readonly path: string
  readonly root: number
  readonly #xattrs: number
  readonly #pages = new Map<number, Buffer>()

  constructor(path: string) {
    this.path = path
    const head = this.#read(superblock, 128)
    if (head.readUInt32LE(0) !== magic || head.readUInt8(12) !== blockBits || head.readUInt32LE(40) !== 0) throw new IndexDamaged(path, 'it is no EROFS image as this program writes them')
    this.root = head.readUInt16LE(14)
    this.#xattrs = head.readUInt32LE(44) * block
  }

  inode(number: number): Inode {
    const bytes = this.#read(number * slot, inodeBytes)
    const format = bytes.readUInt16LE(0)
    const xattrCount = bytes.readUInt16LE(2)
    if ((format & 1) === 0) throw new IndexDamaged(this.path, `inode ${number} is not extended`)
    return {
      number,
      mode: bytes.readUInt16LE(4),
      uid: bytes.readUInt32LE(24),
      gid: bytes.readUInt32LE(28),
      sizeBytes: Number(bytes.readBigUInt64LE(8)),
      mtimeNs: bytes.readBigInt64LE(32) * 1_000_000_000n + BigInt(bytes.readUInt32LE(40)),
      links: bytes.readUInt32LE(44),
      place: bytes.readUInt32LE(16),
      layout: format >> 1 & 7,
      xattrBytes: xattrCount === 0 ? 0 : 12 + 4 * (xattrCount - 1),
    }
  }

  /** The names in a directory, Latin-1, but `.` and `..`. */
  entries(directory: Inode): Map<string, NamedInode> {
    const bytes = this.data(directory)
    const found = new Map<string, NamedInode>()
    for (let start = 0; start < bytes.length; start += block) readNames(bytes.subarray(start, start + block), found)
    found.delete('.')
    found.delete('..')
    return found
  }

  /** Of a directory or a symlink. */
  data(inode: Inode): Buffer {
    const tail = inode.layout === layouts.inline ? inode.sizeBytes % block : 0
    const whole = this.#read(inode.place * block, inode.sizeBytes - tail)
    if (tail === 0) return whole
    return Buffer.concat([whole, this.#read(inode.number * slot + inodeBytes + inode.xattrBytes, tail)])
  }

  /** Of a regular file that has bytes. */
  extent(inode: Inode): Extent {
    if (inode.layout !== layouts.chunks) throw new IndexDamaged(this.path, `file ${inode.number} has no chunk`)
    const table = inode.number * slot + inodeBytes + inode.xattrBytes
    const chunk = this.#read(Math.ceil(table / 8) * 8, 8)
    return { isInTar: chunk.readUInt16LE(2) === 1, offset: chunk.readUInt32LE(4) * block }
  }

  xattrs(inode: Inode): Map<string, Buffer> {
    const found = new Map<string, Buffer>()
    if (inode.xattrBytes === 0) return found
    const bytes = this.#read(inode.number * slot + inodeBytes, inode.xattrBytes)
    const shared = bytes.readUInt8(4)
    for (let index = 0; index < shared; index += 1) {
      const at = this.#xattrs + bytes.readUInt32LE(12 + 4 * index) * 4
      const head = this.#read(at, 4)
      addXattr(found, this.#read(at, 4 + head.readUInt8(0) + head.readUInt16LE(2)))
    }
    for (let at = 12 + 4 * shared; at < bytes.length;) at += addXattr(found, bytes.subarray(at))
    return found
  }

  #read(offset: number, length: number): Buffer {
    const first = Math.floor(offset / pageBytes)
    const last = Math.floor((offset + Math.max(length, 1) - 1) / pageBytes)
    const pages = Array.from({ length: last - first + 1 }, (_, index) => this.#page(first + index))
    const [only] = pages
    const bytes = pages.length === 1 && only !== undefined ? only : Buffer.concat(pages)
    const start = offset - first * pageBytes
    if (start + length > bytes.length) throw new IndexDamaged(this.path, `it ends before byte ${offset + length}`)
    return bytes.subarray(start, start + length)
  }

  #page(number: number): Buffer {
    const known = this.#pages.get(number)
    if (known !== undefined) return known
    const file = openSync(this.path, 'r')
    try {
      const bytes = Buffer.alloc(pageBytes)
      const page = bytes.subarray(0, readSync(file, bytes, 0, pageBytes, number * pageBytes))
      if (this.#pages.size >= maxPages) this.#pages.clear()
      this.#pages.set(number, page)
      return page
    } finally {
      closeSync(file)
    }
  }
}

function readNames(bytes: Buffer, found: Map<string, NamedInode>): void {
  const count = bytes.readUInt16LE(8) / 12
  for (let index = 0; index < count; index += 1) {
    const start = bytes.readUInt16LE(12 * index + 8)
    const end = index + 1 < count ? bytes.readUInt16LE(12 * (index + 1) + 8) : bytes.length
    const name = bytes.toString('latin1', start, end)
    const closed = name.indexOf('\0')
    found.set(closed === -1 ? name : name.slice(0, closed), { number: Number(bytes.readBigUInt64LE(12 * index)), isDevice: bytes.readUInt8(12 * index + 10) === characterDevice })
  }
}

/** @returns how many bytes the attribute takes */
function addXattr(found: Map<string, Buffer>, bytes: Buffer): number {
  const nameLength = bytes.readUInt8(0)
  const valueEnd = 4 + nameLength + bytes.readUInt16LE(2)
  const prefix = xattrPrefixes.get(bytes.readUInt8(1)) ?? ''
  found.set(prefix + bytes.toString('utf8', 4, 4 + nameLength), Buffer.from(bytes.subarray(4 + nameLength, valueEnd)))
  return Math.ceil(valueEnd / 4) * 4
}
