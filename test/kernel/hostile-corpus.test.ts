import { execFileSync, spawn } from 'node:child_process'
import { constants, mkdirSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as later } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import { writeIndex } from '../../storage/erofs/write-index.ts'
import type { Store } from '../../storage/index.ts'
import { openStore } from '../../storage/index.ts'
import { unpackTree } from '../../storage/tree/unpack-tree.ts'
import { contentOf, namesIn, tryArchives } from '../support/archive-trials.ts'
import { describeBytes } from '../support/images.ts'
import { mountOverlay } from '../support/overlay-mount.ts'
import { expectClean } from '../support/stores.ts'
import { stream, task } from '../support/streams.ts'
import type { ForgedHeader } from '../support/tar-forge.ts'
import { archive, base256, block, directory, file, forge, forgeGnu, forgeHeader, forgePax, forgeRecord, hardLink, octal, symlink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('hostile-corpus')
const root = join(folder, 'store')
let store: Store

beforeAll(async () => {
  store = await openStore(root)
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await expectClean(root)
})

const { apply, view, refuses } = tryArchives(() => store, 65_521)

const pax = (records: Readonly<Record<string, string | Buffer>>, header: ForgedHeader = {}): Buffer => archive(forgePax(records), file('a', 'x', header))
const xattr = (name: string, value: string | Buffer = 'x'): Readonly<Record<string, string | Buffer>> => ({ [`SCHILY.xattr.${name}`]: value })

describe('H2, H3: formats and numbers', () => {
  it('reads the prefix of a star header, whose last bytes are times', async () => {
    const header = forgeHeader({ name: 'name', prefix: Buffer.concat([Buffer.from('dir'), Buffer.alloc(128), Buffer.from('00000000001 00000000001 ')]), size: octal(1, 11), magic: 'ustar\x0000' })
    header.write('tar\0', 508, 'latin1')
    header.fill(' ', 148, 156)
    header.write(`${octal(header.reduce((sum, byte) => sum + byte, 0), 6)}\0 `, 148, 'latin1')
    expect(await contentOf(await view(archive(Buffer.concat([header, Buffer.alloc(block, 'x', 'latin1').fill(0, 1)]))), '/dir/name')).toBe('x')
  })
  it('takes a mode in base-256 and one with bits above 07777 for what they are below', async () => {
    expect(await (await view(archive(file('a', 'x', { mode: base256(0o1_007_755n, 8) })))).lstat('/a')).toMatchObject({ mode: 0o7755 })
  })
  it('takes owners by number, whatever names say', async () => {
    const header = forgeHeader({ name: 'a', uid: octal(5), gid: octal(6) })
    header.write('root', 265)
    header.write('root', 297)
    header.fill(' ', 148, 156)
    header.write(`${octal(header.reduce((sum, byte) => sum + byte, 0), 6)}\0 `, 148, 'latin1')
    expect(await (await view(archive(header))).lstat('/a')).toMatchObject({ uid: 5, gid: 6 })
  })
  refuses({
    'a negative mode': ['bad-number', 0, archive(file('a', 'x', { mode: base256(-1n, 8) }))],
    'a time of 2^64': ['bad-number', 0, archive(file('a', 'x', { mtime: base256(2n ** 64n, 12) }))],
    'an owner of 2^56': ['bad-owner', 0, archive(file('a', 'x', { uid: Buffer.from([0x81, 0, 0, 0, 0, 0, 0, 0]) }))],
  })
})

describe('H4-H6: extended headers', () => {
  it('takes long names of any length that a path may have, with and without NUL', async () => {
    const path = Array.from({ length: 320 }, () => 'n'.repeat(204)).join('/')
    expect(path.length).toBeGreaterThan(65_000)
    const noNul = forge({ name: '././@LongLink', type: 'L' }, 'no-nul')
    const tree = await view(archive(forgeGnu('L', 'b'), file('x'), forgeGnu('L', path), file('x', 'deep'), noNul, file('x', 'y'), forgeGnu('L', 'first'), forgeGnu('L', 'second'), file('x')))
    expect(await namesIn(tree)).toEqual(['b', 'n'.repeat(204), 'no-nul', 'second'])
    expect(await contentOf(tree, '/no-nul')).toBe('y')
  })
  it('passes over a million bytes of key, and a hundred thousand records of which the last counts', async () => {
    expect(await namesIn(await view(pax({ ['k'.repeat(1 << 20)]: 'v', path: 'b' })))).toEqual(['b'])
    const many = Buffer.concat(Array.from({ length: 100_000 }, (_, index) => forgeRecord('path', `p${index}`)))
    expect(await namesIn(await view(archive(forge({ name: 'pax', type: 'x' }, many), file('a'))))).toEqual(['p99999'])
  })
  it('takes invalid UTF-8 in a value as bytes', async () => {
    expect(await namesIn(await view(pax({ path: Buffer.from([0xff, 0xc0, 0xaf]) })))).toEqual(['\xff\xc0\xaf'])
  })
  it('lets no global header lead a link elsewhere', async () => {
    const tree = await view(archive(forgePax({ linkpath: '/etc/shadow', uid: '7' }, 'g'), symlink('l', 'own'), file('a')))
    expect((await tree.lstat('/l'))?.target?.toString()).toBe('own')
    expect(await tree.lstat('/a')).toMatchObject({ uid: 0 })
  })
  refuses({
    'a long name of 1 MiB': ['path-too-long', 0, archive(forgeGnu('L', `${'n'.repeat(200)}/`.repeat(5200)), file('a'))],
    'a long name that says it is 1 GiB': ['header-too-large', 0, archive(forge({ name: 'L', type: 'L', size: octal(1 << 30, 11) }), file('a'))],
    'a million records': ['header-too-large', 0, archive(forge({ name: 'pax', type: 'x' }, Buffer.concat(Array.from({ length: 1_000_000 }, () => Buffer.from('6 k=v\n')))), file('a'))],
    'a malformed global header': ['bad-pax-record', 1, archive(file('a'), forge({ name: 'g', type: 'g' }, 'junk'), file('b'))],
  })
})

describe('H8-H12: bodies, sparse files, types and ends', () => {
  it('believes PAX about size and path in both directions', async () => {
    const tree = await view(archive(forgePax({ size: '4' }), file('a', 'body', { size: octal(0, 11) }), forgePax({ size: '0', path: 'c' }), file('b', '', { size: octal(512, 11) }), file('d', 'd')))
    expect(await namesIn(tree)).toEqual(['a', 'c', 'd'])
    expect(await contentOf(tree, '/a')).toBe('body')
  })
  it.each(['1', '2', '3', '4', '5', '6'])('reads no body after type %s, whatever its size says', async (type) => {
    const tree = await view(archive(file('t', 'x'), forge({ name: 'n', type, link: 't', major: octal(1), minor: octal(3), size: octal(4096, 11) }), file('after', 'x')))
    expect(await namesIn(tree)).toEqual(['after', 'n', 't'])
  })
  const known = new Set(['0', '1', '2', '3', '4', '5', '6', '7', '\0', 'x', 'g', 'L', 'K', 'S'])
  it('takes no other type for a file', async () => {
    for (let code = 1; code < 256; code += 1) {
      const type = Buffer.from([code])
      if (known.has(type.toString('latin1'))) continue
      const header = forgeHeader({ name: 'n', type: ' ' })
      header[156] = code
      header.fill(' ', 148, 156)
      header.write(`${octal(header.reduce((sum, byte) => sum + byte, 0), 6)}\0 `, 148, 'latin1')
      await expect(apply(archive(header)), `type ${code}`).rejects.toMatchObject({ rule: 'unknown-type', entry: 0 })
    }
  })
  refuses({
    'an old GNU sparse file with extension blocks': ['sparse-file', 0, archive(forge({ name: 's', type: 'S', size: octal(0, 11) }), Buffer.alloc(block, 1))],
    'a sparse file of PAX 0.0': ['sparse-file', 0, pax({ 'GNU.sparse.size': '9223372036854775807', 'GNU.sparse.numblocks': '100000000', 'GNU.sparse.offset': '0', 'GNU.sparse.numbytes': '1' })],
    'a sparse file of PAX 0.1': ['sparse-file', 0, pax({ 'GNU.sparse.map': '0,1,0,1,9223372036854775807,1', 'GNU.sparse.size': '2' })],
    'a sparse file of PAX 1.0': ['sparse-file', 0, pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9223372036854775807', 'GNU.sparse.name': 'b' })],
  })
  it('reads a gigabyte of zeros after the end, and forgets it', async () => {
    async function* padded(): AsyncGenerator<Uint8Array, void, undefined> {
      yield archive(file('a'))
      const zeros = Buffer.alloc(1 << 23)
      for (let count = 0; count < 128; count += 1) {
        await later()
        yield zeros
      }
    }
    const layer = await store.layers.apply(undefined, padded(), undefined, task)
    expect(await namesIn(store.layers.view(layer.chainId))).toEqual(['a'])
  }, 60_000)
  it('refuses an archive that is cut at any byte around a border', async () => {
    const whole = archive(forgePax({ path: 'b' }), file('x', 'y'.repeat(513)))
    const end = whole.length - 2 * block
    for (let border = 0; border < end; border += block) {
      for (const length of [border - 1, border, border + 1]) if (length > 0) await expect(apply(whole.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({ rule: 'truncated' })
    }
  })
  it.each([['nothing', Buffer.alloc(0), 'empty-archive'], ['text', Buffer.alloc(2000, 'text'), 'bad-checksum']] as const)('refuses gzip of %s', async (_, bytes, rule) => {
    const blob = gzipSync(bytes)
    const ingested = store.ingestLayer({ parent: undefined, blob: describeBytes(blob), bytes: stream(blob), diffId: digestAsDiffId(sha256(bytes)) }, task)
    await expect(ingested).rejects.toMatchObject({ code: 'STORAGE_HOSTILE_ARCHIVE', rule })
  })
})

describe('P1-P5: paths', () => {
  it('keeps names of every script and none byte by byte', async () => {
    const odd = ['e\u0301', '\u00e9', '\u202egnp.exe', 'trailing. ', 'back\\slash', '..x', 'x..', '\u0001', '$(id)', '-rf', '*'].map((text) => Buffer.from(text))
    const tree = await view(archive(...odd.flatMap((path) => [forgePax({ path }), file('x', 'x')])))
    expect((await tree.list('/')).map(String)).toEqual(odd.toSorted((one, other) => Buffer.compare(one, other)).map(String))
  })
  it('follows forty links in a row, and makes what a dangling one lacks', async () => {
    const chain = Array.from({ length: 40 }, (_, index) => symlink(`l${index}`, index === 39 ? 'end' : `l${index + 1}`))
    const tree = await view(archive(directory('end/'), ...chain, file('l0/x', 'end'), symlink('gone', '/no/where'), file('gone/y', 'made')))
    expect(await contentOf(tree, '/end/x')).toBe('end')
    expect(await contentOf(tree, '/no/where/y')).toBe('made')
  })
  it('lets the last of a hundred thousand entries of one name win', async () => {
    const many = Buffer.concat([...Array.from({ length: 100_000 }, (_, index) => file('same', '', { mtime: octal(index, 11) })), Buffer.alloc(2 * block)])
    const layer = await apply(many)
    expect(await store.layers.view(layer.chainId).lstat('/same')).toMatchObject({ mtimeNs: 99_999_000_000_000n })
  }, 60_000)
  it('gives modes as they are stored, whatever the umask', async () => {
    const before = process.umask(0o077)
    try {
      const tree = await view(archive(file('f', 'x', { mode: octal(0o666) }), directory('d/', { mode: octal(0o777) }), file('implied/x')))
      expect(await tree.lstat('/f')).toMatchObject({ mode: 0o666 })
      expect(await tree.lstat('/d')).toMatchObject({ mode: 0o777 })
      expect(await tree.lstat('/implied')).toMatchObject({ mode: 0o755 })
    } finally {
      process.umask(before)
    }
  })
  const deep = Array.from({ length: 100_000 }, () => 'd').join('/')
  refuses({
    'a path of 100,000 directories': ['too-deep', 0, archive(forgePax({ path: deep }), file('x'))],
    'a file without a name': ['root-is-no-directory', 0, archive(file(''))],
    'a fifo as parent': ['parent-is-no-directory', 1, archive(forge({ name: 'f', type: '6' }), file('f/x'))],
    'a link to a fifo as parent': ['parent-is-no-directory', 2, archive(forge({ name: 'f', type: '6' }), symlink('l', 'f'), file('l/x'))],
    'a link to itself as parent': ['link-loop', 1, archive(symlink('l', 'l'), file('l/x'))],
    'a symbolic link with NUL in its target': ['bad-path', 0, archive(forgePax({ linkpath: 'a\0b' }), symlink('l', 'x'))],
  })
})

describe('L1, M2, M3: links, times and attributes', () => {
  it('links through a link inside of the root, and to what an earlier entry made of it', async () => {
    const tree = await view(archive(directory('d/'), file('d/f', 'x'), symlink('l', 'd'), hardLink('h', 'l/f'), symlink('abs', '/d'), hardLink('h2', '/abs/f')))
    const id = (await tree.lstat('/d/f'))?.fileId
    expect([(await tree.lstat('/h'))?.fileId, (await tree.lstat('/h2'))?.fileId]).toEqual([id, id])
  })
  it.each([
    ['-1.5', -1_500_000_000n], ['1.9999999999', 1_999_999_999n], ['0', 0n], ['8589934592', 8_589_934_592_000_000_000n],
  ] as const)('takes time %s', async (mtime, expected) => {
    expect(await (await view(pax({ mtime, atime: 'nonsense', ctime: '1e99' }))).lstat('/a')).toMatchObject({ mtimeNs: expected })
  })
  it.each([
    ['security.capability', '0100000200040000000000000000000000000000'], ['security.capability', '0100000300040000000000000000000000000000e8030000'],
    ['system.posix_acl_access', '0200000001000600ffffffff02000700e803000004000400ffffffff10000700ffffffff20000400ffffffff'],
  ] as const)('keeps %s %s', async (name, hex) => {
    const value = Buffer.from(hex, 'hex')
    expect((await (await view(pax(xattr(name, value), { mode: octal(0o674) }))).xattrs('/a')).get(name)).toEqual(value)
  })
  it('drops what belongs to one machine, and what only some readers know', async () => {
    const dropped = { ...xattr('security.selinux'), ...xattr('security.ima', '\x01'), ...xattr('security.evm', '\x02'), ...xattr('system.nfs4_acl'), 'LIBARCHIVE.xattr.user.b64': 'eA==', 'SCHILY.acl.access': 'user::rwx' }
    expect([...(await (await view(pax({ ...dropped, ...xattr('user.kept'), ...xattr('trusted.kept') }))).xattrs('/a')).keys()].sort()).toEqual(['trusted.kept', 'user.kept'])
  })
})

describe('X1, X2: overlay metadata in an archive', () => {
  const marks = ['opaque', 'whiteout', 'whiteouts', 'redirect', 'metacopy', 'origin', 'impure', 'nlink', 'upper', 'protattr', 'uuid', 'xwhiteouts', 'overlay.opaque']
  it('shows no effect in a mount, whatever the marks say', async () => {
    const below = await apply(archive(directory('secret/'), file('secret/key', 'key'), directory('d/'), file('d/visible'), file('f', 'low')))
    const records = (value: string): Record<string, string> => Object.fromEntries(marks.flatMap((mark) => [[`SCHILY.xattr.trusted.overlay.${mark}`, mark === 'redirect' ? value : 'y'], [`SCHILY.xattr.user.overlay.${mark}`, mark === 'redirect' ? value : 'x']]))
    for (const value of ['/secret', 'secret', '../secret']) {
      const layer = await apply(archive(forgePax(records(value)), directory('d/'), forgePax(records('/secret/key')), file('g', 'own')), below)
      const [upperdir, workdir] = ['upper', 'work'].map((name) => join(folder, `${name}-${value.replaceAll(/\W/gu, '-')}`)) as [string, string]
      for (const path of [upperdir, workdir]) mkdirSync(path)
      using mount = mountOverlay(store.layers.lowers(layer.chainId), { upperdir, workdir })
      expect(execFileSync('find', ['.', '-type', 'f', '-printf', '%P '], { cwd: mount.path, encoding: 'utf8' }).trim().split(' ').sort()).toEqual(['d/visible', 'f', 'g', 'secret/key'])
      expect(execFileSync('cat', ['g'], { cwd: mount.path, encoding: 'utf8' })).toBe('own')
    }
  })
})

describe('W3: whiteouts', () => {
  refuses({
    'a whiteout that is a device': ['bad-whiteout', 0, archive(forge({ name: '.wh.d', type: '3', major: octal(1), minor: octal(3) }))],
    'a whiteout that is a fifo': ['bad-whiteout', 0, archive(forge({ name: '.wh.d', type: '6' }))],
    'a whiteout through ".."': ['bad-path', 0, archive(file('../.wh.etc', ''))],
    'a whiteout through a link that leads round': ['link-loop', 2, archive(symlink('a', 'b'), symlink('b', 'a'), file('a/.wh.x', ''))],
  })
  it('of the kernel\'s own directories hide them in the image alone', async () => {
    const below = await apply(archive(directory('proc/'), directory('dev/'), file('dev/x')))
    const layer = await apply(archive(file('.wh.proc', ''), file('dev/.wh..wh..opq', ''), file('new')), below)
    expect(await namesIn(store.layers.view(layer.chainId))).toEqual(['dev', 'new'])
  })
})

describe('an archive that keeps us busy', () => {
  const entries = Buffer.concat(Array.from({ length: 4096 }, (_, index) => file(`d/${index}`, '')))

  async function* endless(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      await later()
      yield entries
    }
  }

  it('is refused after its share of processor time, wherever it has come to', async () => {
    const target = join(folder, 'endless')
    mkdirSync(target)
    await expect(unpackTree({ root: folder, directory: target, xattrs: 'trusted', makesWhiteouts: false, maxBytes: 2 ** 40, maxSeconds: 1, lowers: [] }, endless(), task))
      .rejects.toMatchObject({ code: 'STORAGE_HOSTILE_ARCHIVE', rule: 'too-slow', entry: expect.any(Number) as number })
  }, 60_000)

  it('is refused so while an index is made of it', async () => {
    const tar = join(folder, 'endless.tar')
    execFileSync('mkfifo', [tar])
    writeFileSync(join(folder, 'entries.tar'), entries)
    const fifo = await open(tar, constants.O_RDWR)
    const feeder = spawn('sh', ['-c', 'exec > "$2"; while cat "$1"; do :; done', 'sh', join(folder, 'entries.tar'), tar], { stdio: 'ignore' })
    const indexed = writeIndex({ root: folder, tar, index: join(folder, 'endless-index'), diffId: digestAsDiffId(sha256(entries)), makesWhiteouts: false, maxBytes: 2 ** 40, maxSeconds: 1, lowers: [] }, task)
    await expect(indexed).rejects.toMatchObject({ code: 'STORAGE_HOSTILE_ARCHIVE', rule: 'too-slow' })
    feeder.kill('SIGKILL')
    await fifo.close()
  }, 60_000)
})
