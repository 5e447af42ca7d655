import { statSync, writeFileSync } from 'node:fs'
import { expect } from 'vitest'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import { writeIndex } from '../../storage/erofs/write-index.ts'
import type { LowerLayer } from '../../storage/index.ts'
import { task } from './streams.ts'
import { archive, directory, file, forge, forgePax, hardLink, octal, symlink } from './tar-forge.ts'

export type IndexedLayer = LowerLayer & { readonly kind: 'erofs' }

/** Writes a tar and its index beside it. */
export async function writeIndexedLayer(path: string, tar: Buffer, below: readonly LowerLayer[], makesWhiteouts = true): Promise<IndexedLayer> {
  writeFileSync(`${path}.tar`, tar)
  const outcome = await writeIndex({ root: path, tar: `${path}.tar`, index: path, diffId: digestAsDiffId(sha256(tar)), makesWhiteouts, maxBytes: 2 ** 40, maxSeconds: 60, lowers: below }, task)
  expect(outcome).toMatchObject({ kind: 'written', indexBytes: statSync(path).size })
  return { kind: 'erofs', path, tar: `${path}.tar`, backing: 'file' }
}

const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
/** Every kind of inode, and every way an index keeps one. */
export const everyKind = archive(
  directory('d/', { mode: octal(0o1777), uid: octal(5) }), file('d/empty', ''), file('d/one', 'x'), file('d/block', 'b'.repeat(512)), file('large', 'l'.repeat(3_000_001)),
  hardLink('d/again', 'd/one'), symlink('short', 'd/one'), forgePax({ linkpath: 't'.repeat(4095) }), symlink('long', 'x'), forgePax({ linkpath: 't'.repeat(500) }), symlink('middle', 'x'),
  forge({ name: 'null', type: '3', major: octal(1), minor: octal(3) }), forge({ name: 'disk', type: '4', major: octal(4095), minor: octal(1_048_575) }), forge({ name: 'fifo', type: '6' }),
  forgePax({ path: 'n\xff\xfe\n' }), file('x', 'bytes'), forgePax({ path: 'n'.repeat(255) }), file('x', 'long name'), file('-first', 'x'), file('.hidden', 'x'), file('...', 'x'),
  forgePax({ mtime: '1.123456789' }), file('time', 'x'), forgePax({ mtime: '-2.5' }), file('before', 'x'), forgePax({ uid: '4294967294', gid: '70000' }), file('owner', 'x', { mode: octal(0o6755) }),
  forgePax({ 'SCHILY.xattr.security.capability': capability }), file('cap', 'x'), forgePax({ 'SCHILY.xattr.user.a': 'same' }), file('a1', 'x'),
  forgePax({ 'SCHILY.xattr.user.a': 'same', 'SCHILY.xattr.trusted.overlay.opaque': 'y', 'SCHILY.xattr.user.empty': '' }), file('a2', 'x'),
  forgePax({ 'SCHILY.xattr.user.big': 'v'.repeat(3000), 'SCHILY.xattr.trusted.t': '\xff' }), directory('a3/'), file('a3/.wh..wh..opq', ''), file('.wh.gone', ''),
)

/** Names of all lengths, out of order. */
export function largeDirectory(entries: number): Buffer {
  const names = Array.from({ length: entries }, (_, number) => `many/${(number * 7919) % entries}-${'n'.repeat(number % 40)}`)
  return Buffer.concat([directory('many/'), ...names.map((name) => file(name, '')), Buffer.alloc(1024)])
}
