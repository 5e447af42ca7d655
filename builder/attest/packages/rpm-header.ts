/** Tags of a header that say what a package is. @see rpm's file format, "Header Structure" */
export const tags = { name: 1000, version: 1001, release: 1002, epoch: 1003, license: 1014, url: 1020, arch: 1022, sourceRpm: 1044 } as const

const indexEntryBytes = 16
const introBytes = 8
const types = { int32: 4, string: 6, stringArray: 8, i18nString: 9 } as const

interface IndexEntry {
  readonly type: number
  readonly offset: number
}

/** A header as rpm's database keeps it: the numbers of entries and of data bytes, an index, data. Big endian. */
export class RpmHeader {
  readonly #entries: ReadonlyMap<number, IndexEntry>
  readonly #data: Buffer

  private constructor(entries: ReadonlyMap<number, IndexEntry>, data: Buffer) {
    this.#entries = entries
    this.#data = data
  }

  /** @returns undefined for what is no header */
  static parse(blob: Buffer): RpmHeader | undefined {
    if (blob.length < introBytes) return undefined
    const [count, dataBytes] = [blob.readUInt32BE(0), blob.readUInt32BE(4)]
    const dataStart = introBytes + count * indexEntryBytes
    if (dataStart + dataBytes > blob.length) return undefined
    const entries = new Map<number, IndexEntry>()
    for (let at = introBytes; at < dataStart; at += indexEntryBytes) entries.set(blob.readUInt32BE(at), { type: blob.readUInt32BE(at + 4), offset: blob.readUInt32BE(at + 8) })
    return new RpmHeader(entries, blob.subarray(dataStart, dataStart + dataBytes))
  }

  /** Of several strings the first. */
  text(tag: number): string | undefined {
    const entry = this.#entries.get(tag)
    if (entry === undefined || (entry.type !== types.string && entry.type !== types.stringArray && entry.type !== types.i18nString)) return undefined
    const end = this.#data.indexOf(0, entry.offset)
    return end === -1 ? undefined : this.#data.toString('utf8', entry.offset, end)
  }

  number(tag: number): number | undefined {
    const entry = this.#entries.get(tag)
    return entry?.type === types.int32 && entry.offset + 4 <= this.#data.length ? this.#data.readUInt32BE(entry.offset) : undefined
  }
}
