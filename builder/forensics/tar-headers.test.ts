import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { archive, directory, file, forge, forgePax, hardLink, octal, symlink } from '../../test/support/tar-forge.ts'
import { readTarHeaders } from './tar-headers.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-tar-headers-'))
afterAll(() => { rmSync(folder, { recursive: true, force: true }) })

function read(tar: Buffer): Buffer {
  const path = join(folder, 'tar')
  writeFileSync(path, tar)
  return Buffer.concat([...readTarHeaders(path)])
}

const unread = (length: number): string => '\0'.repeat(length)

describe('the headers of a tar', () => {
  it('are all that is read of it, at their places', () => {
    const make = (content: (length: number) => string): Buffer => archive(
      directory('d/'), file('d/empty', ''), file('d/short', content(3)), file('d/block', content(512)), file('large', content(300_001)), hardLink('again', 'large'), symlink('l', 'd'),
      forgePax({ path: 'n'.repeat(3000), 'SCHILY.xattr.user.x': 'y'.repeat(5000) }), file('x', content(4096)), file('last', content(1)),
    )
    const zeros = make(unread)
    expect(read(make((length) => 'c'.repeat(length))).equals(zeros.subarray(0, zeros.length - 512))).toBe(true)
  })

  it('tell sizes in every form there is', () => {
    const binary = Buffer.alloc(12)
    binary.writeUInt8(0x80)
    binary.writeUInt32BE(700, 8)
    const body = Buffer.alloc(1024, 'c')
    const tar = (content: Buffer): Buffer => Buffer.concat([
      forge({ name: 'binary', size: binary }), content,
      forgePax({ comment: 'none', size: '1000' }), forge({ name: 'pax', size: octal(0, 11) }), content,
      file('after', ''), Buffer.alloc(512),
    ])
    expect(read(Buffer.concat([tar(body), Buffer.alloc(512)])).equals(tar(Buffer.alloc(1024)))).toBe(true)
  })

  it('never lead back', () => {
    const tar = Buffer.concat([forge({ name: 'octal', size: Buffer.from('-00000002000') }), forgePax({ size: '-512' }), file('pax', ''), file('after', ''), Buffer.alloc(512)])
    expect(read(tar).length).toBeLessThanOrEqual(tar.length + 1024)
  })

  it('end where the tar ends', () => {
    expect(read(Buffer.alloc(0)).length).toBe(0)
    expect(read(file('a', 'x').subarray(0, 700)).length).toBe(1024)
    expect(read(file('a', 'x').subarray(0, 100)).length).toBe(100)
  })
})
