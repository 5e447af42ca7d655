/** Fields of the ssh protocols: four bytes of length, then so many bytes. @see RFC 4251 section 5 */
export class FieldReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** @throws {RangeError} when the bytes end before */
  uint32(): number {
    const value = this.#bytes.readUInt32BE(this.#at)
    this.#at += 4
    return value
  }

  /** @throws {RangeError} */
  bytes(): Buffer {
    const length = this.uint32()
    if (length > this.#bytes.length - this.#at) throw new RangeError('a field is longer than what is left')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  /** A positive number without the zero that keeps it positive. */
  integer(): Buffer {
    const bytes = this.bytes()
    return bytes.subarray(bytes.findIndex((byte) => byte !== 0))
  }
}

export function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** A positive number: without leading zeros, but for one where its first bit is set. */
export function integerField(value: Buffer): Buffer {
  const first = value.findIndex((byte) => byte !== 0)
  const bytes = first === -1 ? Buffer.alloc(0) : value.subarray(first)
  return field((bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes)
}
