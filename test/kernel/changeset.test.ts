import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { getAddon } from '../../native/index.ts'
import type { ChangesetEntry, FileContent } from '../../storage/index.ts'
import { packChangeset, readXattrs } from '../../storage/index.ts'
import { listTar } from '../support/list-tar.ts'
import { collect, task } from '../support/streams.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('changeset')
const metadata = { mode: 0o644, uid: 0, gid: 0, mtimeNs: -1n }
const bytes: FileContent = { kind: 'bytes', bytes: Buffer.from('x') }

function directory(path: string): ChangesetEntry {
  return { ...metadata, path: Buffer.from(path), type: 'directory', mode: 0o755 }
}

function file(path: string, content: FileContent = bytes): ChangesetEntry {
  return { ...metadata, path: Buffer.from(path), type: 'file', content }
}

async function pack(...entries: ChangesetEntry[]): Promise<Buffer> {
  return collect(packChangeset(entries, task))
}

describe('a changeset of a list', () => {
  it('takes content from files, parts of files and memory', async () => {
    writeFileSync(join(folder, 'source'), '0123456789')
    mkdirSync(join(folder, 'sub'))
    writeFileSync(join(folder, 'sub', 'large'), Buffer.alloc(3_000_000, 'l'))
    const tar = await pack(
      file('a', { kind: 'host', root: folder, path: Buffer.from('sub/large'), sizeBytes: 3_000_000 }),
      file('b', { kind: 'range', file: join(folder, 'source'), offset: 3, sizeBytes: 4 }),
      file('c', { kind: 'bytes', bytes: Buffer.alloc(0) }),
    )
    expect((await listTar(tar)).map((entry) => [entry.name, entry.size, entry.mtime])).toEqual([['a', 3_000_000, -1], ['b', 4, -1], ['c', 0, -1]])
    expect(tar.includes('3456')).toBe(true)
    expect(await pack()).toEqual(Buffer.alloc(1024))
  })

  it.each<[string, string, ChangesetEntry[]]>([
    ['the order is broken', 'out-of-order', [file('b'), file('a')]],
    ['an entry comes twice', 'out-of-order', [file('a'), file('a')]],
    ['a directory on the way has no entry', 'out-of-order', [file('a/b')]],
    ['a file stands on the way', 'out-of-order', [file('a'), file('a/b')]],
    ['an opaque marker does not follow its directory', 'out-of-order', [directory('a'), file('a/b'), { path: Buffer.from('a'), type: 'opaque' }]],
    ['a path has ".."', 'bad-path', [directory('a'), file('a/..')]],
    ['a path is absolute', 'bad-path', [file('/a')]],
    ['a path ends in a slash', 'bad-path', [directory('a/')]],
    ['a path has NUL', 'bad-path', [file('a\0b')]],
    ['a name is too long', 'name-too-long', [file('n'.repeat(256))]],
    ['a file is named like a whiteout', 'named-like-whiteout', [file('.wh.a')]],
    ['the root is a file', 'root-is-no-directory', [file('')]],
    ['a device would be a whiteout', 'bad-device', [{ ...metadata, path: Buffer.from('a'), type: 'char', major: 0, minor: 0 }]],
    ['a link leads nowhere', 'bad-link-target', [{ ...metadata, path: Buffer.from('a'), type: 'symlink', target: Buffer.alloc(0) }]],
    ['an owner means no change', 'bad-owner', [{ ...metadata, path: Buffer.from('a'), type: 'fifo', uid: 0xffffffff }]],
  ])('is refused when %s', async (_, rule, entries) => {
    await expect(pack(...entries)).rejects.toMatchObject({ code: 'STORAGE_UNREPRESENTABLE', rule })
  })

  it('is refused when a file is not what it was', async () => {
    writeFileSync(join(folder, 'file'), '12345')
    symlinkSync(join(folder, 'file'), join(folder, 'link'))
    mkdirSync(join(folder, 'gone'))
    symlinkSync(folder, join(folder, 'way'))
    rmSync(join(folder, 'gone'), { recursive: true })
    for (const [path, sizeBytes] of [['file', 4], ['file', 6], ['link', 5], ['gone/file', 5], ['way/file', 5], ['file/x', 5], ['.', 4096]] as const) {
      await expect(pack(file('a', { kind: 'host', root: folder, path: Buffer.from(path), sizeBytes })), path).rejects.toMatchObject({ code: 'STORAGE_SOURCE_CHANGED', path: Buffer.from('a') })
    }
    await expect(pack(file('a', { kind: 'range', file: join(folder, 'file'), offset: 3, sizeBytes: 5 }))).rejects.toMatchObject({ code: 'STORAGE_SOURCE_CHANGED' })
  })

  it('never leaves the folder that its files come from', async () => {
    writeFileSync(join(folder, 'secret'), '12345')
    mkdirSync(join(folder, 'context'), { recursive: true })
    await expect(pack(file('a', { kind: 'host', root: join(folder, 'context'), path: Buffer.from('../secret'), sizeBytes: 5 }))).rejects.toMatchObject({ code: 'STORAGE_SOURCE_CHANGED' })
  })

  it('passes the failure of the list on', async () => {
    async function* broken(): AsyncGenerator<ChangesetEntry> {
      yield directory('a')
      await Promise.resolve()
      throw new RangeError('no list')
    }
    await expect(collect(packChangeset(broken(), task))).rejects.toBeInstanceOf(RangeError)
  })
})

describe('readXattrs', () => {
  it('gives what a layer carries, of a link itself', () => {
    const path = join(folder, 'with-xattrs')
    writeFileSync(path, '')
    getAddon().setXattr(path, 'user.a', Buffer.from('1'))
    getAddon().setXattr(path, 'security.selinux', Buffer.from('label'))
    symlinkSync(path, `${path}-link`)
    expect(readXattrs(path)).toEqual(new Map([['user.a', Buffer.from('1')]]))
    expect(readXattrs(`${path}-link`)).toEqual(new Map())
  })
})
