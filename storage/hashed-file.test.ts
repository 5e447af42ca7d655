import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { getAddon } from '../native/index.ts'
import { chooseGzipEngine } from './compression/choose-gzip-engine.ts'
import type { HashedFileOptions } from './hashed-file.ts'
import { HashedFile } from './hashed-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-hashed-file-'))
afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

interface Way { readonly inflater: HashedFileOptions['inflater']; readonly size: number; readonly maxBytes?: number; readonly heldBytes?: number }

/** What lies in the file after bytes were added in pieces of a size, and what it is said to be. */
async function write(bytes: Uint8Array, { inflater, size, maxBytes = 1e9, heldBytes = 0 }: Way): Promise<{ readonly stored: Buffer; readonly digest: string; readonly sizeBytes: number }> {
  const path = join(folder, randomBytes(8).toString('hex'))
  writeFileSync(path, bytes.subarray(0, heldBytes))
  const file = new HashedFile(await open(path, 'a+'), { algorithm: 'sha256', inflater, heldBytes, maxBytes })
  try {
    for (let at = 0; at < bytes.byteLength; at += size) await file.add(bytes.subarray(at, at + size))
    return { ...await file.finish(), stored: readFileSync(path) }
  } finally {
    await file.close()
  }
}

/** ISA-L where the machine has it. */
const engines = [...new Set(['zlib', chooseGzipEngine().engine.name] as const)]
const noise = randomBytes(3_000_001)
const text = Buffer.alloc(700_000, 'text that gzip makes small ')
const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const gzipHeaderBytes = 10
const storedHeaderBytes = 5

/** As gzip that compresses nothing, in blocks of 65,535 bytes: it is known where each byte lies. */
function stored64k(bytes: Buffer): Buffer {
  const blocks: Buffer[] = [Buffer.from('1f8b08000000000000ff', 'hex')]
  for (let at = 0; at < bytes.length; at += 65_535) {
    const block = bytes.subarray(at, at + 65_535)
    const header = Buffer.alloc(storedHeaderBytes)
    header.writeUInt8(at + 65_535 >= bytes.length ? 1 : 0, 0)
    header.writeUInt16LE(block.length, 1)
    header.writeUInt16LE(block.length ^ 0xffff, 3)
    blocks.push(header, block)
  }
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(crc32(bytes), 0)
  trailer.writeUInt32LE(bytes.length, 4)
  return Buffer.concat([...blocks, trailer])
}

describe('a hashed file', () => {
  it.each((['none', ...engines] as const).flatMap((inflater) => [[997, inflater], [65_536, inflater], [5_000_000, inflater]] as const))('holds what was added in pieces of %i bytes, by %s', async (size, inflater) => {
    const plain = Buffer.concat([noise, text])
    const bytes = inflater !== 'none' ? Buffer.concat([gzipSync(noise), gzipSync(Buffer.alloc(0)), gzipSync(text)]) : plain
    const { stored, digest, sizeBytes } = await write(bytes, { inflater, size })
    expect(stored.equals(plain)).toBe(true)
    expect({ digest, sizeBytes }).toEqual({ digest: sha256(plain), sizeBytes: plain.byteLength })
  })

  it.each(engines)('takes a piece whose last byte fills the buffer of 256 KiB, by %s', async (inflater) => {
    const { stored } = await write(stored64k(noise), { inflater, size: gzipHeaderBytes + 4 * (storedHeaderBytes + 65_535) + storedHeaderBytes + 4 })
    expect(stored.equals(noise)).toBe(true)
  })

  it.each([0, 1, 999, 1000, 1001, 2_000_000, 3_000_001])('goes on behind %i bytes that are there', async (heldBytes) => {
    const { stored, digest } = await write(noise, { inflater: 'none', size: 1000, heldBytes })
    expect(stored.equals(noise)).toBe(true)
    expect(digest).toBe(sha256(noise))
  })

  it('hashes by the algorithm that is asked for', async () => {
    const file = new HashedFile(await open(join(folder, 'sha512'), 'wx'), { algorithm: 'sha512', inflater: 'none', heldBytes: 0, maxBytes: 1e9 })
    await file.add(text)
    expect((await file.finish()).digest).toBe(`sha512:${createHash('sha512').update(text).digest('hex')}`)
    await file.close()
  })

  it.each([1, 2, 7])('undoes gzip in pieces of %i bytes', async (size) => {
    for (const inflater of engines) {
      const { stored } = await write(Buffer.concat([gzipSync('one'), gzipSync(text)]), { inflater, size })
      expect(stored.equals(Buffer.concat([Buffer.from('one'), text]))).toBe(true)
    }
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a part', gzipSync(text).subarray(0, -1)],
    ['a header', gzipSync(text).subarray(0, 5)],
    ['gzip followed by zeros', Buffer.concat([gzipSync(text), Buffer.alloc(20)])],
    ['gzip followed by garbage', Buffer.concat([gzipSync(text), Buffer.from('garbage')])],
    ['gzip with another checksum', Buffer.concat([gzipSync(text).subarray(0, -8), Buffer.alloc(8)])],
    ['gzip that was changed', Buffer.concat([gzipSync(noise).subarray(0, 1000), randomBytes(100_000)])],
  ])('refuses %s as gzip', async (_, bytes) => {
    for (const inflater of engines) for (const size of [3, 1 << 20]) await expect(write(bytes, { inflater, size })).rejects.toMatchObject({ code: 'STORAGE_MALFORMED_COMPRESSION', compression: 'gzip' })
  })

  it.each(['none', ...engines] as const)('takes no more than it may, by %s', async (inflater) => {
    const bytes = inflater === 'none' ? text : gzipSync(text)
    await expect(write(bytes, { inflater, size: 1000, maxBytes: 699_999 })).rejects.toMatchObject({ code: 'STORAGE_STREAM_TOO_LARGE', maxBytes: 699_999 })
    expect((await write(bytes, { inflater, size: 1000, maxBytes: 700_000 })).sizeBytes).toBe(700_000)
  })

  it.each(['none', ...engines] as const)('fails with what the file says, whatever comes after, by %s', async (inflater) => {
    const bytes = inflater === 'none' ? noise : Buffer.concat([gzipSync(noise), Buffer.from('garbage')])
    const file = new HashedFile(await open('/dev/full', 'w'), { algorithm: 'sha256', inflater, heldBytes: 0, maxBytes: 1e9 })
    await file.add(bytes)
    await expect(file.finish()).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'pwritev' })
    await file.close()
  })

  it.each(engines)('leaves no thread behind when it ended, well or not, by %s', async (inflater) => {
    const threads = (): number => readdirSync('/proc/self/task').length
    const writeSome = (): Promise<unknown> => Promise.allSettled([gzipSync(noise), gzipSync(noise).subarray(0, -1), stored64k(noise)].map((bytes) => write(bytes, { inflater, size: 100_000 })))
    await writeSome()
    const before = threads()
    for (let round = 0; round < 3; round += 1) await writeSome()
    expect(threads()).toBe(before)
  })

  describe('that ends a pipe', () => {
    /** Lets `program` write into the pipe. */
    async function drain(program: string, { path, maxBytes = 1e9 }: { readonly path: string; readonly maxBytes?: number }): Promise<{ readonly digest: string; readonly sizeBytes: number }> {
      const file = new HashedFile(await open(path, 'w'), { algorithm: 'sha256', inflater: 'none', heldBytes: 0, maxBytes })
      const [readFd, writeFd] = getAddon().pipe(0)
      const writer = spawn('sh', ['-c', program], { stdio: ['ignore', writeFd, 'ignore'] })
      closeSync(writeFd)
      const ended = once(writer, 'close')
      try {
        await file.drain(readFd)
        return await file.finish()
      } finally {
        await ended
        await file.close()
      }
    }

    it('holds all that came through it', async () => {
      const [path, source] = [join(folder, 'drained'), join(folder, 'source')]
      writeFileSync(source, noise)
      expect(await drain(`head -c 10 ${source}; sleep 0.05; tail -c +11 ${source}`, { path })).toEqual({ digest: sha256(noise), sizeBytes: noise.byteLength })
      expect(readFileSync(path).equals(noise)).toBe(true)
      expect(await drain(':', { path })).toEqual({ digest: sha256(new Uint8Array()), sizeBytes: 0 })
    })

    it('ends at its limit, and its writer with it', async () => {
      const openFiles = (): number => readdirSync('/proc/self/fd').length
      const before = openFiles()
      await expect(drain('yes', { path: join(folder, 'too-large'), maxBytes: 100_000 })).rejects.toMatchObject({ code: 'STORAGE_STREAM_TOO_LARGE' })
      expect(openFiles()).toBe(before)
    })

    it('ends with what the kernel says', async () => {
      await expect(drain('yes', { path: '/dev/full' })).rejects.toMatchObject({ code: 'ENOSPC' })
    })

    it('leaves the threads of the pool to others, whatever it waits for', async () => {
      const waiting = Array.from({ length: 8 }, (_, index) => drain(`while [ ! -e ${join(folder, 'go')} ]; do sleep 0.02; done; echo ${index}`, { path: join(folder, `waiting-${index}`) }))
      await writeFile(join(folder, 'go'), '')
      expect((await Promise.all(waiting)).map(({ sizeBytes }) => sizeBytes)).toEqual(waiting.map(() => 2))
    })
  })
})
