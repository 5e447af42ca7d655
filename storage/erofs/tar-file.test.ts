import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { TarFile } from './tar-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-tar-file-'))
afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

interface Way { readonly compression: 'none' | 'gzip'; readonly size: number; readonly maxBytes?: number }

/** What lies in the file after bytes were added in pieces of a size, and what it is said to be. */
async function write(bytes: Uint8Array, { compression, size, maxBytes = 1e9 }: Way): Promise<{ readonly stored: Buffer; readonly diffId: string; readonly tarBytes: number }> {
  const path = join(folder, randomBytes(8).toString('hex'))
  const file = new TarFile(await open(path, 'wx'), { compression, maxBytes })
  try {
    for (let at = 0; at < bytes.byteLength; at += size) await file.add(bytes.subarray(at, at + size))
    return { ...await file.finish(), stored: readFileSync(path) }
  } finally {
    await file.close()
  }
}

const noise = randomBytes(3_000_001)
const text = Buffer.alloc(700_000, 'text that gzip makes small ')
const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

describe('a tar file', () => {
  it.each([[997, 'none'], [65_536, 'gzip'], [5_000_000, 'gzip'], [5_000_000, 'none']] as const)('holds what was added in pieces of %i bytes, as %s', async (size, compression) => {
    const plain = Buffer.concat([noise, text])
    const bytes = compression === 'gzip' ? Buffer.concat([gzipSync(noise), gzipSync(Buffer.alloc(0)), gzipSync(text)]) : plain
    const { stored, diffId, tarBytes } = await write(bytes, { compression, size })
    expect(stored.equals(plain)).toBe(true)
    expect({ diffId, tarBytes }).toEqual({ diffId: sha256(plain), tarBytes: plain.byteLength })
  })

  it.each([1, 2, 7])('undoes gzip in pieces of %i bytes', async (size) => {
    const { stored } = await write(Buffer.concat([gzipSync('one'), gzipSync(text)]), { compression: 'gzip', size })
    expect(stored.equals(Buffer.concat([Buffer.from('one'), text]))).toBe(true)
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
    for (const size of [3, 1 << 20]) await expect(write(bytes, { compression: 'gzip', size })).rejects.toMatchObject({ code: 'STORAGE_MALFORMED_COMPRESSION', compression: 'gzip' })
  })

  it.each(['none', 'gzip'] as const)('takes no more than it may, as %s', async (compression) => {
    const bytes = compression === 'gzip' ? gzipSync(text) : text
    await expect(write(bytes, { compression, size: 1000, maxBytes: 699_999 })).rejects.toMatchObject({ code: 'STORAGE_STREAM_TOO_LARGE', maxBytes: 699_999 })
    expect((await write(bytes, { compression, size: 1000, maxBytes: 700_000 })).tarBytes).toBe(700_000)
  })

  it('fails with what the file says', async () => {
    const file = new TarFile(await open('/dev/full', 'w'), { compression: 'none', maxBytes: 1e9 })
    await file.add(text)
    await expect(file.finish()).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'pwritev' })
    await file.close()
  })
})
