import { MalformedCompression } from './errors.ts'

/** A piece of the data frame at work; `isLast` ends that frame. */
export interface FramePiece {
  readonly bytes: Uint8Array
  readonly isLast: boolean
}

const dataMagic = 0xfd2fb528
const skippableMagic = 0x184d2a5
const dictionaryIdBytes = [0, 1, 2, 4] as const
const contentSizeBytes = [0, 2, 4, 8] as const

/**
 * Finds where frames end, which zlib's engine does not: it stops after one. Skippable frames are left out.
 * @see RFC 8878, section 3.1
 * @throws {MalformedCompression}
 */
export async function* splitFrames(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<FramePiece, void, undefined> {
  const scanner = new FrameScanner()
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.byteLength;) {
      const wasBetween = scanner.isBetween
      const end = scanner.scan(chunk, at)
      // The magic number is held back until it says what it begins.
      if (wasBetween && scanner.isData) yield { bytes: scanner.magic, isLast: false }
      else if (scanner.isData) yield { bytes: chunk.subarray(at, end), isLast: scanner.isBetween }
      at = end
    }
  }
  if (!scanner.isClean) throw new MalformedCompression('zstd', 'it ends in the middle of a frame')
}

type Part = 'magic' | 'skippable-size' | 'skipped' | 'descriptor' | 'header' | 'block-header' | 'end'

/** Follows the frames through chunks cut anywhere. */
class FrameScanner {
  #part: Part = 'magic'
  readonly #collected = Buffer.alloc(16)
  #have = 0
  #want = 4
  #skip = 0
  #hasChecksum = false
  /** Whether the frame that begins, goes on, or ended with the last call holds data. */
  isData = false

  /** Whether what comes next is a magic number. */
  get isBetween(): boolean {
    return this.#part === 'magic'
  }

  get isClean(): boolean {
    return this.isBetween && this.#have === 0
  }

  get magic(): Uint8Array {
    return Buffer.from(this.#collected.subarray(0, 4))
  }

  /** Goes on to the end of a magic number, of a frame, or of the chunk. @returns the index behind what was scanned */
  scan(chunk: Uint8Array, from: number): number {
    const wasBetween = this.isBetween
    if (wasBetween) this.isData = false
    for (let at = from; ;) {
      while (this.#skip === 0 && this.#have >= this.#want) {
        this.#have = 0
        this.#advance()
        if (this.isBetween !== wasBetween) return at
      }
      if (at === chunk.byteLength) return at
      at += this.#consume(chunk.subarray(at))
    }
  }

  #consume(bytes: Uint8Array): number {
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, bytes.byteLength)
      this.#skip -= skipped
      return skipped
    }
    const taken = bytes.subarray(0, this.#want - this.#have)
    this.#collected.set(taken, this.#have)
    this.#have += taken.byteLength
    return taken.byteLength
  }

  #advance(): void {
    switch (this.#part) {
      case 'magic': this.#readMagic(this.#collected.readUInt32LE(0)); break
      case 'skippable-size': this.#expect('skipped', 0, this.#collected.readUInt32LE(0)); break
      case 'descriptor': this.#readDescriptor(this.#collected.readUInt8(0)); break
      case 'header': this.#expect('block-header', 3); break
      case 'block-header': this.#readBlockHeader(this.#collected.readUIntLE(0, 3)); break
      case 'skipped':
      case 'end': this.#expect('magic', 4); break
    }
  }

  #readMagic(magic: number): void {
    this.isData = magic === dataMagic
    if (this.isData) this.#expect('descriptor', 1)
    else if (magic >>> 4 === skippableMagic) this.#expect('skippable-size', 4)
    else throw new MalformedCompression('zstd', 'there are bytes that are no frame')
  }

  #readDescriptor(flags: number): void {
    const isSingleSegment = (flags & 0x20) !== 0
    const sizeFlag = flags >>> 6
    const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : contentSizeBytes[sizeFlag] ?? 0
    this.#hasChecksum = (flags & 4) !== 0
    this.#expect('header', (isSingleSegment ? 0 : 1) + (dictionaryIdBytes[flags & 3] ?? 0) + sizeBytes)
  }

  #readBlockHeader(value: number): void {
    const isLast = (value & 1) === 1
    // A block of type 1 is one byte repeated.
    const size = (value >>> 1 & 3) === 1 ? 1 : value >>> 3
    if (isLast) this.#expect('end', this.#hasChecksum ? 4 : 0, size)
    else this.#expect('block-header', 3, size)
  }

  #expect(part: Part, want: number, skip = 0): void {
    this.#part = part
    this.#want = want
    this.#skip = skip
  }
}
