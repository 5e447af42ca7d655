import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Store } from '../../storage/index.ts'
import { openStore } from '../../storage/index.ts'
import { contentOf, namesIn, tryArchives } from '../support/archive-trials.ts'
import { expectClean, inodesOfLayer } from '../support/stores.ts'
import { archive, base256, block, directory, file, forge, forgeGnu, forgeHeader, forgePax, forgeRecord, hardLink, octal, pad, symlink } from '../support/tar-forge.ts'
import { useTemporaryFolder } from '../support/temporary-folder.ts'

const folder = useTemporaryFolder('hostile')
const root = join(folder, 'store')
const canary = join(folder, 'canary')
let store: Store

beforeAll(async () => {
  mkdirSync(canary)
  writeFileSync(join(canary, 'file'), 'untouched')
  store = await openStore(root)
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  expect(readFileSync(join(canary, 'file'), 'utf8')).toBe('untouched')
  expect(execFileSync('find', [canary], { encoding: 'utf8' }).trim().split('\n')).toEqual([canary, join(canary, 'file')])
  expect(lstatSync(join(canary, 'file'))).toMatchObject({ mode: 0o100644, uid: 0, nlink: 1 })
  await expectClean(root)
})

const { apply, view, refuses } = tryArchives(() => store, 4099)

describe('H1-H3: headers', () => {
  it('takes both checksums, all ends of numbers and every magic', async () => {
    const tree = await view(archive(
      file('é', 'signed', { checksum: 'signed' }), file('v7', 'x', { magic: '' }), file('gnu', 'x', { magic: 'ustar  \0' }),
      file('spaces', 'x', { mode: '   644 \0', uid: '     0 ', mtime: '' }), file('junk-version', 'x', { magic: 'ustar\0zz' }),
      file('prefixed', 'x', { prefix: 'dir/sub' }), file('not-prefixed', 'x', { prefix: 'dir', magic: 'ustar  \0' }), forge({ name: 'v7-dir/', type: '\0' }),
      file('contiguous', 'x', { type: '7' }), file('old-type', 'x', { type: '\0' }),
    ))
    expect(await namesIn(tree)).toEqual(['contiguous', 'dir', 'gnu', 'junk-version', 'not-prefixed', 'old-type', 'spaces', 'v7', 'v7-dir', '\xc3\xa9'])
    expect(await contentOf(tree, '/dir/sub/prefixed')).toBe('x')
    expect(await tree.lstat('/spaces')).toMatchObject({ mode: 0o644, mtimeNs: 0n })
    expect(await tree.lstat('/v7-dir')).toMatchObject({ type: 'directory' })
  })
  it('takes base-256 numbers in range', async () => {
    const tree = await view(archive(file('a', 'x', { size: base256(1n, 12), mtime: base256(-5n, 12), uid: base256(4_294_967_294n, 8) })))
    expect(await tree.lstat('/a')).toMatchObject({ sizeBytes: 1, uid: 4_294_967_294, mtimeNs: -5_000_000_000n })
  })
  refuses({
    'a wrong checksum': ['bad-checksum', 0, archive(file('a', 'x', { checksum: '0000001\0' }))],
    'a header of 0xff': ['bad-checksum', 0, archive(Buffer.alloc(block, 0xff))],
    'what is no tar': ['bad-checksum', 0, Buffer.from('#!/bin/sh\n'.repeat(100))],
    'digits that are not octal': ['bad-number', 0, archive(file('a', 'x', { size: '00000000009\0' }))],
    'a negative size': ['bad-number', 0, archive(file('a', '', { size: base256(-1n, 12) }))],
    'a size of 2^63': ['bad-number', 0, archive(file('a', '', { size: base256(2n ** 63n, 12) }))],
    'a size of 2^64 + 1': ['bad-number', 0, archive(file('a', '', { size: base256(2n ** 64n + 1n, 12) }))],
    'a size of more than there is': ['truncated', 0, archive(file('a', '', { size: octal(1 << 20, 11) }))],
    'an unknown type': ['unknown-type', 1, archive(file('a'), forge({ name: 'b', type: 'Z' }))],
    'a GNU volume header': ['unknown-type', 0, archive(forge({ name: 'b', type: 'V' }))],
    'a GNU sparse file': ['sparse-file', 0, archive(forge({ name: 'b', type: 'S' }))],
  })
})

describe('H4-H7: extended headers', () => {
  it('takes GNU long names and PAX names', async () => {
    const long = `long/${'n'.repeat(200)}`
    const tree = await view(archive(
      directory('long'), forgeGnu('L', long), file('cut', 'gnu'), forgePax({ path: `${long}2` }), file('cut', 'pax'),
      forgeGnu('K', 't'.repeat(150)), symlink('link', 'cut'), forgePax({ path: 'same' }), forgeGnu('L', 'same'), file('cut', 'both'),
      forgePax({ path: '' }), file('unset', 'x'), forgePax({ path: 'first', comment: 'c', hdrcharset: 'BINARY' }), file('x', 'x'),
      forge({ name: 'pax', type: 'x' }, Buffer.concat([forgeRecord('path', 'early'), forgeRecord('path', 'late')])), file('x', 'x'),
    ))
    expect(await namesIn(tree)).toEqual(['first', 'late', 'link', 'long', 'same', 'unset'])
    expect(await namesIn(tree, '/long')).toEqual(['n'.repeat(200), `${'n'.repeat(200)}2`])
    expect(await tree.lstat('/link')).toMatchObject({ target: Buffer.from('t'.repeat(150)) })
  })
  it('lets no global header name or size a file, and needs none after one', async () => {
    const tree = await view(archive(forgePax({ path: 'global', size: '0', mtime: '7', comment: 'git' }, 'g'), file('a', 'body'), forgePax({ mtime: '1.5' }), file('b'), forgePax({ comment: 'end' }, 'g')))
    expect(await namesIn(tree)).toEqual(['a', 'b'])
    expect(await contentOf(tree, '/a')).toBe('body')
    expect(await tree.lstat('/b')).toMatchObject({ mtimeNs: 1_500_000_000n })
  })
  it('measures an extended header by itself, whatever PAX says the size is', async () => {
    const tree = await view(archive(forgePax({ size: '4' }), forgeGnu('L', 'named'), file('x', 'body', { size: octal(0, 11) })))
    expect(await contentOf(tree, '/named')).toBe('body')
  })
  const records = (text: string | Buffer): Buffer => archive(forge({ name: 'pax', type: 'x' }, text), file('a'))
  refuses({
    'a record length one too long': ['bad-pax-record', 0, records('12 path=ab\n')],
    'a record length one too short': ['bad-pax-record', 0, records('9 path=ab\n')],
    'a record length with a leading zero': ['bad-pax-record', 0, records('010 path=a\n')],
    'a record without newline': ['bad-pax-record', 0, records('10 path=abc')],
    'a record without equals sign': ['bad-pax-record', 0, records('9 pathab\n')],
    'a record without key': ['bad-pax-record', 0, records('6 =ab\n')],
    'a record longer than its header': ['bad-pax-record', 0, records('1000000000000000000000 path=a\n')],
    'NUL in a path': ['bad-path', 0, records(forgeRecord('path', 'a\0b'))],
    'a negative PAX size': ['bad-number', 0, records(forgeRecord('size', '-1'))],
    'a PAX size in exponent form': ['bad-number', 0, records(forgeRecord('size', '1e3'))],
    'a time that is no number': ['bad-number', 0, records(forgeRecord('mtime', 'nan'))],
    'a time beyond 64 bits': ['bad-number', 0, records(forgeRecord('mtime', '99999999999999999999'))],
    'a PAX sparse file': ['sparse-file', 0, records(forgeRecord('GNU.sparse.major', '1'))],
    'two names that differ': ['ambiguous-name', 0, archive(forgeGnu('L', 'one'), forgePax({ path: 'two' }), file('a'))],
    'an extended header of 5 MiB': ['header-too-large', 0, archive(forgeGnu('L', 'x'.repeat(5 << 20)), file('a'))],
    'an extended header that says it is 1 GiB': ['header-too-large', 0, archive(forge({ name: 'x', type: 'x', size: octal(1 << 30, 11) }), file('a'))],
    'extended headers without end': ['too-many-headers', 1, archive(file('a'), ...Array.from({ length: 40 }, () => forgeGnu('L', 'x')), file('a'))],
    'an extended header and nothing after it': ['truncated', 0, archive(forgeGnu('L', 'x'))],
  })
})

describe('H8, H11, H12: bodies and ends', () => {
  it('takes an archive that ends in one block, none, or padding and garbage', async () => {
    const entry = file('a', 'x')
    for (const end of [Buffer.alloc(block), Buffer.alloc(0), Buffer.alloc(20 * block), Buffer.concat([Buffer.alloc(2 * block), Buffer.from('garbage')])]) {
      expect(await namesIn(await view(Buffer.concat([entry, end])))).toEqual(['a'])
    }
  })
  it('passes over the size that some writers put on directories and links', async () => {
    const tree = await view(archive(directory('d', { size: octal(4096, 11) }), forge({ name: 'l', type: '2', link: 'd', size: octal(1, 11) }), file('a', 'x')))
    expect(await namesIn(tree)).toEqual(['a', 'd', 'l'])
  })
  it('takes an archive without entries, and refuses no archive at all', async () => {
    expect(await apply(archive())).toMatchObject({ inodes: 0 })
    expect(await namesIn(await view(Buffer.alloc(10_240)))).toEqual([])
    await expect(apply(Buffer.alloc(0))).rejects.toMatchObject({ rule: 'empty-archive' })
  })
  it('refuses every archive that is cut in an entry', async () => {
    const whole = Buffer.concat([file('a', 'x'.repeat(600)), forgePax({ path: 'b' }), file('x', 'y')])
    const borders = new Set([block + 1024, whole.length])
    for (let length = 1; length < whole.length; length += 97) {
      if (!borders.has(length)) await expect(apply(whole.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({ rule: 'truncated' })
    }
  })
  refuses({
    'a block of zeros in the middle': ['stray-zero-block', 1, archive(file('a'), Buffer.alloc(block), file('b'))],
    'half a block of zeros': ['truncated', 0, Buffer.alloc(100)],
  })
})

describe('P1-P5: paths', () => {
  it('reads absolute and untidy paths as paths below the root', async () => {
    const tree = await view(archive(file('/abs', '1'), file('./dot', '2'), file('//a//./b', '3'), directory('./'), directory('/'), directory('.'), file('trailing/', '4'), file('C:\\x', '5')))
    expect(await namesIn(tree)).toEqual(['C:\\x', 'a', 'abs', 'dot', 'trailing'])
    expect(await contentOf(tree, '/a/b')).toBe('3')
    expect(await tree.lstat('/trailing')).toMatchObject({ type: 'file' })
  })
  it('keeps names byte by byte', async () => {
    const odd = ['new\nline', 'tab\t', '\x1b[31m', '\xff\xfe', '\xed\xa0\x80', 'e\u0301'.normalize('NFD'), ' ', '...', 'a'.repeat(255), 'A', 'a']
    const bytes = odd.map((text) => Buffer.from(text, 'latin1'))
    const tree = await view(archive(...bytes.flatMap((path) => [forgePax({ path }), file('x', 'x')])))
    expect((await tree.list('/')).map(String)).toEqual(bytes.toSorted((one, other) => Buffer.compare(one, other)).map(String))
  })
  it('follows links of this layer and of those below as a process with this root would', async () => {
    const below = await apply(archive(directory('usr/'), directory('usr/lib/', { uid: octal(9) }), symlink('lib', 'usr/lib'), symlink('out', canary), symlink('up', '../../../usr')))
    const tree = await view(archive(file('lib/new', 'below'), file('out/file', 'inside'), file('up/x', 'x'), symlink('here', '/usr/lib'), file('here/y', 'y')), below)
    expect(await contentOf(tree, '/usr/lib/new')).toBe('below')
    expect(await contentOf(tree, `${canary}/file`)).toBe('inside')
    expect(await namesIn(tree, '/usr')).toEqual(['lib', 'x'])
    expect(await namesIn(tree, '/usr/lib')).toEqual(['new', 'y'])
    expect(await tree.lstat('/usr/lib')).toMatchObject({ uid: 9 })
    expect(await tree.lstat('/lib')).toMatchObject({ type: 'symlink' })
  })
  it('replaces what an earlier entry left, and merges a directory into a directory', async () => {
    const below = await apply(archive(directory('a/'), file('a/below')))
    const tree = await view(archive(
      file('f', '1'), file('f', '22'), directory('d/'), file('d/x'), file('d', 'file'), file('e', 'file'), directory('e/'), file('e/x'),
      directory('m/', { mode: octal(0o700) }), file('m/x'), directory('m/', { mode: octal(0o711) }), symlink('s', 'f'), file('s', 'not through'),
      directory('a/'), symlink('a', 'f'), directory('a/'), file('a/new'), symlink('t', 'd'), forge({ name: 't', type: '6' }), hardLink('f2', 'f'), file('f2', 'own'),
    ), below)
    expect(await contentOf(tree, '/f')).toBe('22')
    expect(await contentOf(tree, '/d')).toBe('file')
    expect(await namesIn(tree, '/e')).toEqual(['x'])
    expect(await namesIn(tree, '/m')).toEqual(['x'])
    expect(await tree.lstat('/m')).toMatchObject({ mode: 0o711 })
    expect(await contentOf(tree, '/s')).toBe('not through')
    expect(await namesIn(tree, '/a')).toEqual(['new'])
    expect(await tree.lstat('/t')).toMatchObject({ type: 'fifo' })
  })
  it('forgets where a directory was when an ancestor is replaced', async () => {
    const tree = await view(archive(directory('a/'), directory('a/b/'), file('a/b/f1'), symlink('a', canary), file('a/b/f2', 'inside')))
    expect(await contentOf(tree, `${canary}/b/f2`)).toBe('inside')
  })
  it('makes missing parents and sets metadata of directories last', async () => {
    const tree = await view(archive(
      file('implied/sub/x', 'x'), directory('late/sub/', { mode: octal(0o555), mtime: octal(1000, 11) }), file('late/sub/y', 'y'),
      directory('late/', { mode: octal(0o700), uid: octal(3), mtime: octal(2000, 11) }),
    ))
    expect(await tree.lstat('/implied')).toMatchObject({ mode: 0o755, uid: 0 })
    expect(await tree.lstat('/late/sub')).toMatchObject({ mode: 0o555, mtimeNs: 1_000_000_000_000n })
    expect(await tree.lstat('/late')).toMatchObject({ mode: 0o700, uid: 3, mtimeNs: 2_000_000_000_000n })
  })
  it('takes depth up to the limit without growing slow', async () => {
    const path = Array.from({ length: 8000 }, () => 'd').join('/')
    const below = await apply(archive(forgePax({ path: `${path}/x` }), file('x', 'low')))
    const above = await apply(archive(...Array.from({ length: 20 }, (_, index) => [forgePax({ path: `${path}/${index % 2 === 0 ? 'e/' : ''}y${index}` }), file('x', 'high')]).flat()), below)
    expect(above.inodes).toBe(inodesOfLayer(8000 + 1 + 20 + 1))
  })
  const deep = Array.from({ length: 9000 }, () => 'd').join('/')
  refuses({
    '".." at the start': ['bad-path', 0, archive(file('../x'))],
    '".." in the middle': ['bad-path', 0, archive(file('a/../b'))],
    '".." at the end': ['bad-path', 0, archive(directory('a/..'))],
    'an absolute path with ".."': ['bad-path', 0, archive(file('/./../x'))],
    'a component of 256 bytes': ['name-too-long', 0, archive(forgePax({ path: 'n'.repeat(256) }), file('x'))],
    'a path of 300,000 bytes': ['path-too-long', 0, archive(forgePax({ path: `${'n'.repeat(200)}/`.repeat(1500) }), file('x'))],
    'a path of 9,000 components': ['too-deep', 0, archive(forgePax({ path: deep }), file('x'))],
    'a loop of links': ['link-loop', 2, archive(symlink('a', 'b'), symlink('b', 'a'), file('a/x'))],
    'a file as parent': ['parent-is-no-directory', 1, archive(file('a'), file('a/x'))],
    'a file below as parent': ['parent-is-no-directory', 0, archive(file('a/x')), archive(file('a'))],
    'a root that is a link': ['root-is-no-directory', 0, archive(symlink('./', '/'))],
    'a root that is a file': ['root-is-no-directory', 0, archive(file('/'))],
    'a root that is a device': ['root-is-no-directory', 0, archive(forge({ name: '.', type: '3', major: octal(1), minor: octal(3) }))],
  })
})

describe('L1, L2: links', () => {
  it('links to files and links of this layer and copies up those below', async () => {
    const below = await apply(archive(file('etc/low', 'low', { mode: octal(0o4711), uid: octal(7) })))
    const tree = await view(archive(file('a', 'x'), hardLink('b', '/a'), symlink('s', 'a'), hardLink('s2', 's'), hardLink('high', 'etc/low'), hardLink('a', 'a'), file('high', 'own')), below)
    expect((await tree.lstat('/a'))?.fileId).toBe((await tree.lstat('/b'))?.fileId)
    expect(await tree.lstat('/s2')).toMatchObject({ type: 'symlink' })
    expect(await contentOf(tree, '/etc/low')).toBe('low')
    expect(await tree.lstat('/etc/low')).toMatchObject({ mode: 0o4711, uid: 7 })
    expect(await contentOf(store.layers.view(below.chainId), '/etc/low')).toBe('low')
  })
  it('stores targets of symbolic links as they are', async () => {
    const targets = ['/proc/self/fd/3', '../../..', 'x'.repeat(4095), '\xff\xfe']
    const tree = await view(archive(...targets.flatMap((target, index) => [forgePax({ linkpath: Buffer.from(target, 'latin1') }), symlink(`${index}`, 'x')])))
    for (const [index, target] of targets.entries()) expect((await tree.lstat(`/${index}`))?.target?.toString('latin1')).toBe(target)
  })
  refuses({
    'a hard link to nothing': ['link-to-nothing', 0, archive(hardLink('a', 'b'))],
    'a hard link to a later entry': ['link-to-nothing', 0, archive(hardLink('a', 'b'), file('b'))],
    'a hard link to itself': ['link-to-nothing', 0, archive(hardLink('a', 'a'))],
    'a hard link to a directory': ['link-to-wrong-type', 1, archive(directory('d'), hardLink('a', 'd'))],
    'a hard link out of the root': ['bad-path', 0, archive(hardLink('a', '../canary/file'))],
    'a hard link to a file of the host': ['link-to-nothing', 0, archive(hardLink('a', `${canary}/file`))],
    'a hard link through a link to the host': ['link-to-nothing', 1, archive(symlink('out', canary), hardLink('a', 'out/file'))],
    'a hard link to what this layer deletes': ['link-to-nothing', 1, archive(file('.wh.f', ''), hardLink('a', 'f')), archive(file('f'))],
    'a hard link to a device below': ['link-to-wrong-type', 0, archive(hardLink('a', 'null')), archive(forge({ name: 'null', type: '3', major: octal(1), minor: octal(3) }))],
    'a symbolic link to nothing at all': ['bad-link-target', 0, archive(symlink('a', ''))],
    'a symbolic link of 4,096 bytes': ['bad-link-target', 0, archive(forgePax({ linkpath: 'x'.repeat(4096) }), symlink('a', 'x'))],
  })
  it('refuses more links than the filesystem has', async () => {
    const many = Buffer.concat([file('a'), ...Array.from({ length: 65_001 }, (_, index) => hardLink(`l${index}`, 'a')), Buffer.alloc(2 * block)])
    await expect(apply(many)).rejects.toMatchObject({ rule: 'too-many-links' })
  })
})

describe('D1, M1: devices, modes and owners', () => {
  it('makes devices and keeps every mode bit, also with an owner', async () => {
    const tree = await view(archive(
      forge({ name: 'null', type: '3', major: octal(1), minor: octal(3), mode: octal(0o666) }), forge({ name: 'sda', type: '4', major: octal(8), minor: octal(0) }),
      forge({ name: 'fifo', type: '6' }), file('su', 'x', { mode: octal(0o6755), uid: octal(5) }), file('typed', 'x', { mode: octal(0o100600) }),
    ))
    expect(await tree.lstat('/null')).toMatchObject({ type: 'char', major: 1, minor: 3, mode: 0o666 })
    expect(await tree.lstat('/sda')).toMatchObject({ type: 'block', major: 8 })
    expect(await tree.lstat('/fifo')).toMatchObject({ type: 'fifo' })
    expect(await tree.lstat('/su')).toMatchObject({ mode: 0o6755, uid: 5 })
    expect(await tree.lstat('/typed')).toMatchObject({ mode: 0o600 })
  })
  it('keeps capabilities and setuid of a file with an owner', async () => {
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
    const tree = await view(archive(forgePax({ 'SCHILY.xattr.security.capability': capability, 'SCHILY.xattr.security.selinux': 'label' }), file('f', 'x', { mode: octal(0o4755), uid: octal(5) })))
    expect(await tree.xattrs('/f')).toEqual(new Map([['security.capability', capability]]))
    expect(await tree.lstat('/f')).toMatchObject({ mode: 0o4755, uid: 5 })
  })
  refuses({
    'device 0:0': ['bad-device', 0, archive(forge({ name: 'a', type: '3', major: octal(0), minor: octal(0) }))],
    'a device number out of range': ['bad-device', 0, archive(forge({ name: 'a', type: '3', major: base256(2n ** 31n, 8), minor: octal(0) }))],
    'a negative device number': ['bad-device', 0, archive(forge({ name: 'a', type: '4', major: base256(-1n, 8), minor: octal(0) }))],
    'the owner that means no change': ['bad-owner', 0, archive(file('a', 'x', { uid: base256(4_294_967_295n, 8) }))],
    'an owner beyond 32 bits': ['bad-owner', 0, archive(forgePax({ gid: '4294967296' }), file('a'))],
    'a negative owner': ['bad-owner', 0, archive(forgePax({ uid: '-1' }), file('a'))],
    'an attribute with a name of 260 bytes': ['bad-xattr', 0, archive(forgePax({ [`SCHILY.xattr.user.${'n'.repeat(255)}`]: 'x' }), file('a'))],
    'an attribute above 64 KiB': ['bad-xattr', 0, archive(forgePax({ 'SCHILY.xattr.user.n': 'x'.repeat(65_537) }), file('a'))],
    'ten thousand attributes': ['bad-xattr', 0, archive(forgePax(Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`SCHILY.xattr.user.${index}`, 'x']))), file('a'))],
  })
})

describe('X1: overlay metadata in an archive', () => {
  it.each(['opaque', 'whiteout', 'redirect', 'metacopy', 'origin', 'impure', 'nlink', 'upper', 'overlay.opaque'])('gives trusted.overlay.%s no power', async (mark) => {
    const below = await apply(archive(directory('secret/'), file('secret/key', 'key'), directory('d/'), file('d/visible')))
    const layer = await apply(archive(forgePax({ [`SCHILY.xattr.trusted.overlay.${mark}`]: mark === 'redirect' ? '/secret' : 'y', 'SCHILY.xattr.user.overlay.opaque': 'y' }), directory('d/')), below)
    const tree = store.layers.view(layer.chainId)
    expect(await namesIn(tree, '/d')).toEqual(['visible'])
    expect([...(await tree.xattrs('/d')).keys()].sort()).toEqual([`trusted.overlay.${mark}`, 'user.overlay.opaque'])
  })
})

describe('W1-W3: whiteouts', () => {
  const below = archive(directory('d/'), file('d/low'), file('f', 'low'), directory('e/'), file('e/low'), symlink('l', 'd'))
  it('hide what lies below and nothing of their own layer, in any order', async () => {
    const parent = await apply(below)
    const entries = [file('.wh.f', ''), file('f', 'high'), directory('d/'), file('.wh.d', ''), file('d/high'), file('.wh.missing', ''), directory('e/'), file('e/.wh..wh..opq', ''), file('e/high')]
    for (const order of [entries, entries.toReversed()]) {
      const tree = await view(archive(...order), parent)
      expect(await namesIn(tree)).toEqual(['d', 'e', 'f', 'l'])
      expect(await contentOf(tree, '/f')).toBe('high')
      expect(await namesIn(tree, '/d')).toEqual(['high'])
      expect(await namesIn(tree, '/e')).toEqual(['high'])
    }
  })
  it('mean nothing in what is no directory', async () => {
    const parent = await apply(below)
    const entries = [file('d', 'a file now'), file('d/.wh.low', ''), file('d/.wh..wh..opq', ''), file('f/.wh.x', '')]
    for (const order of [entries, entries.toReversed()]) expect(await namesIn(await view(archive(...order), parent))).toEqual(['d', 'e', 'f', 'l'])
  })
  it('go through links of the root, and leave the bookkeeping of AUFS out', async () => {
    const parent = await apply(below)
    const tree = await view(archive(file('l/.wh.low', ''), directory('.wh..wh.plnk/'), file('.wh..wh.plnk/1.2', 'x'), file('.wh..wh.aufs', 'x'), file('.WH.f', 'x')), parent)
    expect(await namesIn(tree)).toEqual(['.WH.f', 'd', 'e', 'f', 'l'])
    expect(await namesIn(tree, '/d')).toEqual([])
  })
  it('hide everything below when they stand in the root', async () => {
    const parent = await apply(below)
    const layer = await apply(archive(file('.wh..wh..opq', ''), file('new', 'x')), parent)
    expect(await namesIn(store.layers.view(layer.chainId))).toEqual(['new'])
    expect(store.layers.lowers(layer.chainId)).toHaveLength(1)
  })
  it('take names up to the limit of 255 bytes', async () => {
    const long = 'n'.repeat(255)
    const parent = await apply(archive(forgePax({ path: long }), file('x')))
    expect(await namesIn(await view(archive(forgePax({ path: `.wh.${long}` }), file('x', '')), parent))).toEqual([])
  })
  it('leave no trace in a bottom layer', async () => {
    expect(await apply(archive(file('.wh.x', ''), file('a')))).toMatchObject({ inodes: 2 })
  })
  refuses({
    'a whiteout of nothing': ['bad-whiteout', 0, archive(file('.wh.', ''))],
    'a whiteout of "."': ['bad-whiteout', 0, archive(file('d/.wh..', ''))],
    'a whiteout of ".."': ['bad-whiteout', 0, archive(file('.wh...', ''))],
    'a whiteout of ".wh."': ['bad-whiteout', 0, archive(file('.wh..wh.', ''))],
    'a whiteout that is a directory': ['bad-whiteout', 0, archive(directory('.wh.d'))],
    'a whiteout that is a link': ['bad-whiteout', 0, archive(symlink('.wh.d', 'x'))],
    'a whiteout that is a hard link': ['bad-whiteout', 1, archive(file('a'), hardLink('.wh.d', 'a'))],
    'a whiteout with a body': ['bad-whiteout', 0, archive(file('.wh.d', 'body'))],
    'a path below a whiteout': ['below-whiteout', 0, archive(file('a/.wh.b/c'))],
    'a path below a whiteout of "."': ['below-whiteout', 0, archive(file('.wh./etc'))],
  })
})

describe('a header that promises', () => {
  it('gets no memory for it', async () => {
    const huge = Buffer.concat([forgeHeader({ name: 'a', size: base256(2n ** 61n, 12) }), pad(Buffer.from('x'))])
    await expect(apply(huge)).rejects.toMatchObject({ rule: 'too-large' })
  })
})
