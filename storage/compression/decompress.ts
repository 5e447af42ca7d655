import { createZstdDecompress, zstdDecompressSync } from 'node:zlib'
import { isErrno } from '../../core/errors.ts'
import type { Compression } from '../../oci/descriptor.ts'
import { StreamTooLarge } from '../errors.ts'
import { MalformedCompression } from './errors.ts'
import { chooseGzipEngine } from './choose-gzip-engine.ts'
import { describing } from './describe-damage.ts'
import { transformBytes } from './transform-bytes.ts'
import type { FramePiece } from './zstd-frames.ts'
import { splitFrames } from './zstd-frames.ts'

const engineOptions = { chunkSize: 256 * 1024 }
const magicLength = 4
/** Compressed: frames of more are streamed. */
const smallFrameBytes = 16 * 1024
/** More than any image has files. */
const maxFrames = 2 ** 22

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

/**
 * A frame costs little when it is small: some writers make one for each file, and a hostile one makes one for every nine
 * bytes, of which it may not have millions.
 */
async function* unzstd(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces = splitFrames(bytes)
  for (let frames = 0; ; frames += 1) {
    if (frames > maxFrames) throw new MalformedCompression('zstd', `it has more than ${maxFrames} frames`)
    const { start, isWhole, isEnd } = await startOfFrame(pieces)
    if (start.length === 0 && isEnd) return
    yield* isWhole ? describing('zstd', inflateWhole(Buffer.concat(start))) : describing('zstd', inflateFrame(chain(start, restOfFrame(pieces))))
  }
}

interface FrameStart { readonly start: readonly Uint8Array[]; readonly isWhole: boolean; readonly isEnd: boolean }

async function startOfFrame(pieces: AsyncGenerator<FramePiece, void, undefined>): Promise<FrameStart> {
  const start: Uint8Array[] = []
  for (let length = 0; length <= smallFrameBytes;) {
    const next = await pieces.next()
    if (next.done === true) return { start, isWhole: start.length > 0, isEnd: true }
    start.push(next.value.bytes)
    if (next.value.isLast) return { start, isWhole: true, isEnd: false }
    length += next.value.bytes.byteLength
  }
  return { start, isWhole: false, isEnd: false }
}

async function* restOfFrame(pieces: AsyncGenerator<FramePiece, void, undefined>): AsyncGenerator<Uint8Array, void, undefined> {
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
    yield next.value.bytes
    if (next.value.isLast) return
  }
}

async function* chain(start: readonly Uint8Array[], rest: AsyncGenerator<Uint8Array, void, undefined>): AsyncGenerator<Uint8Array, void, undefined> {
  yield* start
  yield* rest
}

function inflateFrame(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, number, undefined> {
  return transformBytes(createZstdDecompress(engineOptions), bytes)
}

/** A stream of its own for each frame would take some ten times as long. */
async function* inflateWhole(frame: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  let content: Buffer
  try {
    content = zstdDecompressSync(frame, { maxOutputLength: engineOptions.chunkSize })
  } catch (error) {
    if (!isErrno(error, 'ERR_BUFFER_TOO_LARGE')) throw error
    yield* inflateFrame(single(frame))
    return
  }
  if (content.byteLength > 0) yield content
}

// eslint-disable-next-line @typescript-eslint/require-await -- what reads it reads streams
async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes
}
