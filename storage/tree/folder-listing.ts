import { getAddon } from '../../native/index.ts'
import type { TreeEntry } from '../layer-store.ts'
import { findEntryType } from '../layer/view/entry-type.ts'

/** Where the fields of a record lie: struct folder_record of native/addon/folder-record.h. */
const at = {
  device: 0, inode: 8, size: 16, modifiedSeconds: 24, changedSeconds: 32, modifiedNs: 40, changedNs: 44, digest: 48, mode: 80, links: 84,
  major: 88, minor: 92, error: 96, flags: 100, nameBytes: 104, targetBytes: 106, recordBytes: 108, name: 112,
} as const
const digestBytes = 32
const flags = { digestKept: 1, digestTaken: 2, hasCapability: 4 } as const
/** So many files are hashed by one thread at a time. */
const filesAtOnce = 256

export interface FolderReading {
  /** An earlier answer: the digests kept in it are believed for files that are as they were. */
  readonly known?: Uint8Array | undefined
  /** Only what lies under this name. */
  readonly only?: Buffer | undefined
  readonly readsBackwards?: boolean | undefined
}

/** Reads a directory of the host as a whole, which takes a fraction of the time of asking for each file. Its path is followed, what is in it is not. */
export async function readFolder(path: Buffer, { known, only, readsBackwards = false }: FolderReading = {}): Promise<FolderListing> {
  return new FolderListing(path, await getAddon().readFolder(path, known, only, readsBackwards))
}

/** What a directory held when it was read, by name in byte order, as if all were root's. A record is known by where it begins. */
export class FolderListing {
  readonly #path: Buffer
  readonly #bytes: Buffer
  #startOfName: ReadonlyMap<string, number> | undefined

  constructor(path: Buffer, bytes: Buffer) {
    this.#path = path
    this.#bytes = bytes
  }

  /** For the next reading's `known`. */
  get bytes(): Buffer {
    return this.#bytes
  }

  starts(): number[] {
    const starts: number[] = []
    for (let start = 0; start < this.#bytes.length;) {
      const recordBytes = this.#bytes.readUInt32LE(start + at.recordBytes)
      if (recordBytes < at.name) throw new RangeError(`a record of ${recordBytes} bytes cannot be`)
      starts.push(start)
      start += recordBytes
    }
    return starts
  }

  find(name: Buffer): number | undefined {
    const text = name.toString('latin1')
    this.#startOfName ??= new Map(this.starts().map((start) => [this.nameText(start, 'latin1'), start]))
    return this.#startOfName.get(text)
  }

  name(start: number): Buffer {
    const from = start + at.name
    return this.#bytes.subarray(from, from + this.#bytes.readUInt16LE(start + at.nameBytes))
  }

  nameText(start: number, encoding: 'latin1' | 'utf8'): string {
    const from = start + at.name
    return this.#bytes.toString(encoding, from, from + this.#bytes.readUInt16LE(start + at.nameBytes))
  }

  type(start: number): TreeEntry['type'] {
    const mode = this.#bytes.readUInt32LE(start + at.mode)
    const type = findEntryType(mode)
    if (type === undefined) throw new TypeError(`a file of mode ${mode} is of no known type`)
    return type
  }

  mode(start: number): number {
    return this.#bytes.readUInt32LE(start + at.mode) & 0o7777
  }

  links(start: number): number {
    return this.#bytes.readUInt32LE(start + at.links)
  }

  /** Of a file, as in TreeEntry. */
  sizeBytes(start: number): number {
    return this.#bytes.readUInt32LE(start + at.size) + this.#bytes.readUInt32LE(start + at.size + 4) * 2 ** 32
  }

  /** The errno for which lstat(2) failed; 0 for none. */
  error(start: number): number {
    return this.#bytes.readUInt32LE(start + at.error)
  }

  hasCapability(start: number): boolean {
    return (this.#bytes.readUInt32LE(start + at.flags) & flags.hasCapability) !== 0
  }

  /** As in TreeEntry. */
  fileId(start: number): string {
    return `${this.#bytes.readBigUInt64LE(start + at.device)}:${this.#bytes.readBigUInt64LE(start + at.inode)}`
  }

  entry(start: number): TreeEntry {
    const type = this.type(start)
    const target = start + at.name + this.#bytes.readUInt16LE(start + at.nameBytes)
    return {
      type,
      mode: this.mode(start),
      uid: 0,
      gid: 0,
      sizeBytes: type === 'file' ? this.sizeBytes(start) : 0,
      mtimeNs: this.#timeNs(start, at.modifiedSeconds, at.modifiedNs),
      major: this.#bytes.readUInt32LE(start + at.major),
      minor: this.#bytes.readUInt32LE(start + at.minor),
      fileId: this.fileId(start),
      nlink: this.links(start),
      target: type === 'symlink' ? this.#bytes.subarray(target, target + this.#bytes.readUInt16LE(start + at.targetBytes)) : undefined,
    }
  }

  /** The SHA-256 of a file's content in hexadecimal; undefined when nobody took it. */
  digest(start: number): string | undefined {
    if ((this.#bytes.readUInt32LE(start + at.flags) & (flags.digestKept | flags.digestTaken)) === 0) return undefined
    return this.#bytes.toString('hex', start + at.digest, start + at.digest + digestBytes)
  }

  /**
   * Takes the digests of these regular files, on the threads of the pool. Nobody may ask about these files meanwhile.
   * Kept for later readings are those of files whose times were older than `keptBeforeNs`, so that any later change shows
   * in them, and that have no attributes.
   * @returns whether one was kept
   */
  async takeDigests(starts: readonly number[], keptBeforeNs: bigint): Promise<boolean> {
    const pieces = Array.from({ length: Math.ceil(starts.length / filesAtOnce) }, (_, index) => starts.slice(index * filesAtOnce, (index + 1) * filesAtOnce))
    await Promise.all(pieces.map((piece) => getAddon().digestFiles(this.#path, this.#bytes, Uint32Array.from(piece))))
    return starts.map((start) => this.#keep(start, keptBeforeNs)).includes(true)
  }

  /** Takes note of a file's digest that was found otherwise. @returns as takeDigests */
  setDigest(start: number, digest: string, keptBeforeNs: bigint): boolean {
    this.#bytes.write(digest, start + at.digest, digestBytes, 'hex')
    this.#addFlag(start, flags.digestTaken)
    return this.#keep(start, keptBeforeNs)
  }

  #keep(start: number, keptBeforeNs: bigint): boolean {
    if (this.hasCapability(start) || this.#newestNs(start) >= keptBeforeNs) return false
    this.#addFlag(start, flags.digestKept)
    return true
  }

  #addFlag(start: number, flag: number): void {
    this.#bytes.writeUInt32LE(this.#bytes.readUInt32LE(start + at.flags) | flag, start + at.flags)
  }

  /** With the records of an earlier answer about this directory for the names this one has nothing of. */
  joined(known: Uint8Array): FolderListing {
    const earlier = new FolderListing(this.#path, Buffer.from(known))
    const records = new Map([...earlier.#records(), ...this.#records()])
    const sorted = [...records].sort(([one], [other]) => Buffer.compare(Buffer.from(one, 'latin1'), Buffer.from(other, 'latin1')))
    return new FolderListing(this.#path, Buffer.concat(sorted.map(([, record]) => record)))
  }

  #records(): [name: string, record: Buffer][] {
    return this.starts().map((start) => [this.nameText(start, 'latin1'), this.#bytes.subarray(start, start + this.#bytes.readUInt32LE(start + at.recordBytes))])
  }

  /** The later of the two times that tell of changes. */
  #newestNs(start: number): bigint {
    const modified = this.#timeNs(start, at.modifiedSeconds, at.modifiedNs)
    const changed = this.#timeNs(start, at.changedSeconds, at.changedNs)
    return modified > changed ? modified : changed
  }

  #timeNs(start: number, seconds: number, nanoseconds: number): bigint {
    return this.#bytes.readBigInt64LE(start + seconds) * 1_000_000_000n + BigInt(this.#bytes.readUInt32LE(start + nanoseconds))
  }
}
