import { createZstdDecompress } from 'node:zlib'
import type { Compression } from '../../oci/descriptor.ts'
import { StreamTooLarge } from '../errors.ts'
import { chooseGzipEngine } from './choose-gzip-engine.ts'
import { describing } from './describe-damage.ts'
import { transformBytes } from './transform-bytes.ts'
import { splitFrames } from './zstd-frames.ts'

const engineOptions = { chunkSize: 256 * 1024 }
const magicLength = 4

export interface Decompressed {
  readonly compression: Compression
  readonly bytes: AsyncGenerator<Uint8Array, void, undefined>
}

/** Bytes and what they are compressed with. */
export interface Encoded {
  readonly compression: Compression
  readonly bytes: AsyncIterable<Uint8Array>
}

/**
 * Undoes the compression that the bytes show, whatever a media type says of them: the diffID is the judge of the result.
 * All members and frames are decoded, and nothing may follow them.
 * @throws {MalformedCompression} @throws {StreamTooLarge} while the result is read
 */
export async function decompress(bytes: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Decompressed> {
  const encoded = await recognize(bytes)
  return { compression: encoded.compression, bytes: decode(encoded, maxBytes) }
}

/** Looks at how the bytes begin; nothing is lost of them. */
export async function recognize(bytes: AsyncIterable<Uint8Array>): Promise<Encoded> {
  const chunks = bytes[Symbol.asyncIterator]()
  const start: Uint8Array[] = []
  let length = 0
  while (length < magicLength) {
    const next = await chunks.next()
    if (next.done === true) break
    start.push(next.value)
    length += next.value.byteLength
  }
  return { compression: detect(Buffer.concat(start).subarray(0, magicLength)), bytes: resume(start, chunks) }
}

/** @throws {MalformedCompression} @throws {StreamTooLarge} while the result is read */
export function decode({ compression, bytes }: Encoded, maxBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  return limit(decoders[compression](bytes), maxBytes)
}

function detect(start: Buffer): Compression {
  if (start.length >= 2 && start.readUInt16BE() === 0x1f8b) return 'gzip'
  if (start.length < magicLength) return 'none'
  const magic = start.readUInt32LE()
  return magic === 0xfd2fb528 || magic >>> 4 === 0x184d2a5 ? 'zstd' : 'none'
}

async function* resume(start: readonly Uint8Array[], chunks: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* start
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value
  } finally {
    await chunks.return?.()
  }
}

async function* limit(bytes: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  let total = 0
  for await (const chunk of bytes) {
    total += chunk.byteLength
    if (total > maxBytes) throw new StreamTooLarge(maxBytes)
    yield chunk
  }
}

const decoders: Readonly<Record<Compression, (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>>> = {
  none: (bytes) => bytes,
  gzip: (bytes) => chooseGzipEngine().engine.inflate(bytes),
  zstd: unzstd,
}

async function* unzstd(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces = splitFrames(bytes)
  const state = { isAtEnd: false }
  async function* oneFrame(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const next = await pieces.next()
      if (next.done === true) {
        state.isAtEnd = true
        return
      }
      yield next.value.bytes
      if (next.value.isLast) return
    }
  }
  for (;;) {
    const frame = oneFrame()
    const first = await frame.next()
    if (first.done === true) return
    yield* describing('zstd', transformBytes(createZstdDecompress(engineOptions), resume([first.value], frame)))
  }
}
