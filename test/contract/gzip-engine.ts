import { randomBytes } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compress, decompress } from '../../storage/index.ts'

export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += size) {
    await Promise.resolve()
    yield bytes.subarray(at, at + size)
  }
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function inflate(bytes: Uint8Array, size: number): Promise<Buffer> {
  return collect((await decompress(pieces(bytes, size), 2 ** 40)).bytes)
}

const mixed = Buffer.concat([Buffer.alloc(300_000, 'some text that repeats '), randomBytes(300_000), Buffer.alloc(2_000_000)])
const short = Buffer.from('short')
/** A header with everything RFC 1952 knows: extra field, name, comment and a checksum of its own. */
const talkative = ((): Buffer => {
  const plain = gzipSync(short)
  const header = Buffer.concat([plain.subarray(0, 3), Buffer.from([0x1c]), plain.subarray(4, 10), Buffer.from([3, 0, 1, 2, 3]), Buffer.from('name\0comment\0')])
  return Buffer.concat([header, plain.subarray(10)])
})()

/** What every engine must do with gzip, whichever wrote it. */
export function testGzipEngine(): void {
  describe('inflating', () => {
    // First, since only the highest memory use so far can be read.
    it('does not need the memory for what it gives', async () => {
      const bomb = Buffer.concat(Array.from({ length: 16 }, () => gzipSync(Buffer.alloc(16 * 1024 * 1024))))
      const beforeKiB = process.resourceUsage().maxRSS
      let total = 0
      for await (const chunk of (await decompress(pieces(bomb, 65_536), 2 ** 40)).bytes) total += chunk.byteLength
      expect(total).toBe(256 * 1024 * 1024)
      expect(process.resourceUsage().maxRSS - beforeKiB).toBeLessThan(128 * 1024)
    })

    it.each([1, 7, 4096, 65_536, 1 << 24])('gives the content of all members, in pieces of %i bytes', async (size) => {
      const large = size < 100 ? short : mixed
      // As pigz and eStargz write them: many members, some without content, or one whose blocks were made apart from each other.
      const members = Buffer.concat([gzipSync(large), gzipSync(Buffer.alloc(0)), talkative, gzipSync(large, { level: 0 }), gzipSync(large, { level: 9 })])
      expect((await inflate(members, size)).equals(Buffer.concat([large, short, large, large]))).toBe(true)
    })

    it('agrees with zlib about any bytes in any pieces', async () => {
      await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 2000 }), { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 0, max: 9 }), async (contents, size, level) => {
        const packed = Buffer.concat(contents.map((content) => gzipSync(content, { level })))
        expect((await inflate(packed, size)).equals(gunzipSync(packed))).toBe(true)
      }), { numRuns: 100 })
    })

    it('gives content or an error, never something else, of a stream with one byte changed', async () => {
      const content = Buffer.from('the quick brown fox jumps over the lazy dog, '.repeat(20))
      const packed = gzipSync(content)
      for (let at = 2; at < packed.byteLength; at += 1) {
        const changed = Buffer.from(packed)
        changed.writeUInt8(changed.readUInt8(at) ^ 0x41, at)
        const outcome = await inflate(changed, 50).then((bytes) => bytes.equals(content), (error: unknown) => (error as { readonly code?: unknown }).code)
        // Time, flags of speed and system are no content.
        expect(outcome, `byte ${at}`).toBe(at >= 4 && at < 10 ? true : 'STORAGE_MALFORMED_COMPRESSION')
      }
    })

    it.each([
      ['cut in the header', gzipSync(mixed).subarray(0, 9)],
      ['cut in the middle', gzipSync(mixed).subarray(0, 200_000)],
      ['cut in the trailer', gzipSync(mixed).subarray(0, -1)],
      ['cut in the second member', Buffer.concat([gzipSync(short), gzipSync(short).subarray(0, 5)])],
      ['with a wrong length', Buffer.concat([gzipSync(short).subarray(0, -4), Buffer.from([6, 0, 0, 0])])],
      ['followed by zeros', Buffer.concat([gzipSync(short), Buffer.alloc(20)])],
      ['followed by one byte', Buffer.concat([gzipSync(short), Buffer.from([0x1f])])],
      ['followed by garbage', Buffer.concat([gzipSync(short), Buffer.from('garbage that is longer than a header')])],
      ['of another method', Buffer.concat([Buffer.from([0x1f, 0x8b, 7]), gzipSync(short).subarray(3)])],
    ])('refuses a stream %s', async (_, bytes) => {
      for (const size of bytes.byteLength < 100 ? [1, 1 << 24] : [1000, 1 << 24]) {
        await expect(inflate(bytes, size)).rejects.toMatchObject({ code: 'STORAGE_MALFORMED_COMPRESSION', compression: 'gzip' })
      }
    })

    it('lets a reader go that has read enough', async () => {
      const state = { isClosed: false }
      async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
        try {
          for (;;) yield* pieces(gzipSync(mixed), 10_000)
        } finally {
          state.isClosed = true
        }
      }
      const { bytes } = await decompress(source(), 2 ** 40)
      for await (const chunk of bytes) if (chunk.byteLength > 0) break
      await expect.poll(() => state.isClosed).toBe(true)
    })
  })

  describe('compressing', () => {
    it('gives one member that zlib can read, and the same bytes again', async () => {
      for (const content of [Buffer.alloc(0), short, mixed, randomBytes(1_500_000)]) {
        const packed = await collect(compress(pieces(content, 100_000), 'gzip'))
        expect(gunzipSync(packed).equals(content)).toBe(true)
        expect(packed.equals(await collect(compress(pieces(content, 33_333), 'gzip')))).toBe(true)
        expect(packed.byteLength).toBeLessThan(content.byteLength * 1.01 + 100)
      }
    })

    it('gives bytes that do not depend on the engine when a level is asked for', async () => {
      const packed = await collect(compress(pieces(mixed, 100_000), 'gzip', 6))
      process.env['TSBUILD_GZIP'] = 'zlib'
      expect(packed.equals(await collect(compress(pieces(mixed, 100_000), 'gzip')))).toBe(true)
    })
  })
}
