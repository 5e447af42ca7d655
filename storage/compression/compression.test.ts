import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { getAddon } from '../../native/index.ts'
import { compress } from './compress.ts'
import { decompress } from './decompress.ts'

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += size) {
    await Promise.resolve()
    yield bytes.subarray(at, at + size)
  }
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function undo(bytes: Uint8Array, size: number, maxBytes = 1e9): Promise<{ readonly compression: string; readonly bytes: Buffer }> {
  const found = await decompress(pieces(bytes, size), maxBytes)
  return { compression: found.compression, bytes: await collect(found.bytes) }
}

const one = Buffer.concat([Buffer.alloc(100_000, 'one'), randomBytes(200_000)])
const two = Buffer.alloc(5000, 'two')
const withChecksum = (bytes: Uint8Array): Buffer => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
const skippable = (content: string): Buffer => Buffer.concat([Buffer.from([0x53, 0x2a, 0x4d, 0x18, content.length, 0, 0, 0]), Buffer.from(content)])

describe('decompress', () => {
  it.each([1, 7, 4096, 1 << 20])('decodes all members and frames, in pieces of %i bytes', async (size) => {
    const both = Buffer.concat([one, two])
    const members = size === 1 ? Buffer.concat([gzipSync(two), gzipSync(two)]) : Buffer.concat([gzipSync(one), gzipSync(two)])
    const frames = [skippable('first'), ...(size === 1 ? [] : [zstdCompressSync(one)]), skippable(''), withChecksum(two), zstdCompressSync(Buffer.alloc(0)), skippable('last')]
    expect(await undo(members, size)).toEqual({ compression: 'gzip', bytes: size === 1 ? Buffer.concat([two, two]) : both })
    expect(await undo(Buffer.concat(frames), size)).toEqual({ compression: 'zstd', bytes: size === 1 ? two : both })
    expect(await undo(two, size)).toEqual({ compression: 'none', bytes: two })
  })

  it.each([
    ['gzip that is cut', gzipSync(two).subarray(0, -1), 'gzip'],
    ['gzip followed by zeros', Buffer.concat([gzipSync(two), Buffer.alloc(20)]), 'gzip'],
    ['gzip followed by garbage', Buffer.concat([gzipSync(two), Buffer.from('garbage')]), 'gzip'],
    ['gzip followed by zeros and garbage', Buffer.concat([gzipSync(two), Buffer.alloc(20), Buffer.from('garbage')]), 'gzip'],
    ['gzip with a wrong checksum', Buffer.concat([gzipSync(two).subarray(0, -8), Buffer.alloc(8)]), 'gzip'],
    ['zstd that is cut', zstdCompressSync(one).subarray(0, -1), 'zstd'],
    ['zstd cut in a skippable frame', Buffer.concat([zstdCompressSync(two), skippable('rest').subarray(0, -1)]), 'zstd'],
    ['zstd followed by garbage', Buffer.concat([zstdCompressSync(two), Buffer.from('garbage')]), 'zstd'],
    ['zstd followed by three bytes', Buffer.concat([zstdCompressSync(two), Buffer.alloc(3)]), 'zstd'],
    ['zstd with a wrong checksum', Buffer.concat([withChecksum(two).subarray(0, -4), Buffer.alloc(4)]), 'zstd'],
  ])('refuses %s', async (_, bytes, compression) => {
    for (const size of [3, 1 << 20]) await expect(undo(bytes, size)).rejects.toMatchObject({ code: 'STORAGE_MALFORMED_COMPRESSION', compression })
  })

  it('stops at the limit', async () => {
    await expect(undo(gzipSync(Buffer.alloc(10_000_000)), 1000, 1_000_000)).rejects.toMatchObject({ code: 'STORAGE_STREAM_TOO_LARGE', maxBytes: 1_000_000 })
  })

  it('passes the failure of its source on', async () => {
    async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
      yield* pieces(gzipSync(one).subarray(0, 1000), 1000)
      throw new RangeError('the network broke')
    }
    await expect(decompress(broken(), 1e9).then((found) => collect(found.bytes))).rejects.toBeInstanceOf(RangeError)
  })
})

describe('compress', () => {
  it('gives one stream that anybody can read, whatever the pieces', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 1, max: 6000 }), fc.integer({ min: 1, max: 700 }), async (seed, size, times) => {
      const bytes = Buffer.concat(Array.from({ length: times }, () => seed))
      const gzip = await collect(compress(pieces(bytes, size), 'gzip'))
      expect(gunzipSync(gzip).equals(bytes)).toBe(true)
      expect(gzip.equals(await collect(compress(pieces(bytes, size + 1), 'gzip')))).toBe(true)
      expect(zstdDecompressSync(await collect(compress(pieces(bytes, size), 'zstd'))).equals(bytes)).toBe(true)
    }), { numRuns: 25 })
  })

  it('passes the failure of its source on', async () => {
    for (const compression of ['gzip', 'zstd'] as const) {
      async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
        yield* pieces(one, 1000)
        throw new RangeError('the disk broke')
      }
      await expect(collect(compress(broken(), compression))).rejects.toBeInstanceOf(RangeError)
    }
  })

  it('ends when its reader does', async () => {
    const source = { isClosed: false }
    async function* endless(): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        for (;;) yield await Promise.resolve(randomBytes(100_000))
      } finally {
        source.isClosed = true
      }
    }
    for await (const chunk of compress(endless(), 'gzip')) if (chunk.byteLength > 0) break
    expect(source.isClosed).toBe(true)
  })

  it('says what the disk says when gzip is written past the main thread', async () => {
    const [input, full] = [openSync('/dev/zero', 'r'), openSync('/dev/full', 'w')]
    try {
      await expect(getAddon().writeGzip(input, full, 6, () => undefined)).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'write' })
      await expect(getAddon().writeGzip(-1, full, 6, () => undefined)).rejects.toMatchObject({ code: 'EBADF' })
    } finally {
      for (const fd of [input, full]) closeSync(fd)
    }
  })

  it('writes no time and no system into gzip', async () => {
    const gzip = await collect(compress(pieces(one, 1000), 'gzip'))
    expect([...gzip.subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
  })
})
