/** UTF-8 takes no more for a unit of a JavaScript string. */
const mostBytesOfUnit = 3

/** Writes a request for the helper: the other side of native/helper/wire.h, where the format is described. */
export class WireWriter {
  #bytes = Buffer.allocUnsafe(16 * 1024)
  #length = 0

  constructor() {
    this.u32(0x31425354)
  }

  u8(value: number): this {
    this.#reserve(1)
    this.#length = this.#bytes.writeUInt8(value, this.#length)
    return this
  }

  flag(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  u32(value: number): this {
    this.#reserve(4)
    this.#length = this.#bytes.writeUInt32LE(value, this.#length)
    return this
  }

  u64(value: bigint): this {
    this.#reserve(8)
    this.#length = this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, value), this.#length)
    return this
  }

  /** A text goes as UTF-8. */
  bytes(value: string | Uint8Array): this {
    if (typeof value !== 'string') return this.u32(value.byteLength).raw(value).u8(0)
    // A request has hundreds of texts, and a buffer for each would cost a tenth of what starting a container takes Node.
    this.#reserve(4 + mostBytesOfUnit * value.length)
    const length = this.#bytes.write(value, this.#length + 4)
    this.u32(length)
    this.#length += length
    return this.u8(0)
  }

  /** Bytes without a length: what ends with its frame. */
  raw(value: Uint8Array): this {
    this.#reserve(value.byteLength)
    this.#bytes.set(value, this.#length)
    this.#length += value.byteLength
    return this
  }

  list<T>(items: readonly T[], write: (item: T) => unknown): this {
    this.u32(items.length)
    for (const item of items) write(item)
    return this
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** A record of a stream: its length, then what `write` puts in. */
  frame(write: (writer: this) => unknown): this {
    const start = this.#length
    this.u32(0)
    write(this)
    this.#bytes.writeUInt32LE(this.#length - start - 4, start)
    return this
  }

  get length(): number {
    return this.#length
  }

  /** What was written since the last call, copied, so that a stream needs one writer only. */
  take(): Uint8Array {
    const taken = Buffer.from(this.finish())
    this.#length = 0
    return taken
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** Reads the payload of a report record. */
export class WireReader {
  #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#advance(1))
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#advance(4))
  }

  i32(): number {
    return this.#bytes.readInt32LE(this.#advance(4))
  }

  u64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#advance(8))
  }

  /** Length-prefixed bytes, without a closing NUL. */
  bytes(): Uint8Array {
    const length = this.u32()
    const start = this.#advance(length)
    return this.#bytes.subarray(start, start + length)
  }

  text(): string {
    return Buffer.from(this.bytes()).toString('utf8')
  }

  #advance(length: number): number {
    const start = this.#at
    this.#at += length
    return start
  }
}
