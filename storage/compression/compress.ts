import { constants, crc32, createZstdCompress } from 'node:zlib'
import type { Compression } from '../../oci/descriptor.ts'
import { compressorFor } from './choose-gzip-engine.ts'
import type { GzipEngine } from './gzip-engine.ts'
import { transformBytes } from './transform-bytes.ts'

const blockBytes = 512 * 1024
const windowBytes = 32 * 1024
const blocksAhead = 3

/** Equal bytes give equal bytes, as long as the engine is the same: zlib, which a level asks for, or ISA-L. */
export function compress(bytes: AsyncIterable<Uint8Array>, compression: Compression, level?: number): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none': return bytes
    case 'gzip': return gzip(bytes, compressorFor(level))
    case 'zstd': return transformBytes(createZstdCompress({ chunkSize: 256 * 1024, ...(level === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: level } }) }), bytes)
  }
}

/**
 * One gzip member whose blocks are compressed at the same time on the threads of the pool. Each block knows the 32 KiB before it
 * and ends on a byte, so that they can be joined; their borders are fixed, so that the threads do not show in the result.
 * @see RFC 1952
 */
async function* gzip(bytes: AsyncIterable<Uint8Array>, engine: GzipEngine): AsyncGenerator<Uint8Array, void, undefined> {
  // No time; no name of an operating system (255).
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
  const waiting: Promise<Uint8Array>[] = []
  let previous: Uint8Array = new Uint8Array()
  let checksum = 0
  let total = 0
  try {
    for await (const block of cutBlocks(bytes)) {
      checksum = crc32(block, checksum)
      total += block.byteLength
      waiting.push(startBlock(engine, block, previous))
      previous = block.subarray(-windowBytes)
      if (waiting.length >= blocksAhead) yield await takeFirst(waiting)
    }
    while (waiting.length > 0) yield await takeFirst(waiting)
  } finally {
    await Promise.allSettled(waiting)
  }
  const trailer = Buffer.alloc(10)
  trailer.writeUInt16LE(0x0003, 0)
  trailer.writeUInt32LE(checksum, 2)
  trailer.writeUInt32LE(total % 2 ** 32, 6)
  yield trailer
}

function startBlock(engine: GzipEngine, block: Uint8Array, previous: Uint8Array): Promise<Uint8Array> {
  const started = engine.deflateBlock(block, previous)
  // It is awaited in its turn; until then a failure is not unhandled.
  started.catch(() => undefined)
  return started
}

async function takeFirst(waiting: Promise<Uint8Array>[]): Promise<Uint8Array> {
  return await waiting.shift() ?? Buffer.alloc(0)
}

/** Blocks of one size, whatever the sizes of the chunks; the last may be shorter. */
async function* cutBlocks(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let block = Buffer.allocUnsafe(blockBytes)
  let length = 0
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.byteLength;) {
      const part = chunk.subarray(at, at + blockBytes - length)
      block.set(part, length)
      length += part.byteLength
      at += part.byteLength
      if (length === blockBytes) {
        yield block
        block = Buffer.allocUnsafe(blockBytes)
        length = 0
      }
    }
  }
  if (length > 0) yield block.subarray(0, length)
}
