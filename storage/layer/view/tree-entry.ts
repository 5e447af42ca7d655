import type { BigIntStats } from 'node:fs'
import type { TreeEntry } from '../../layer-store.ts'
import { findEntryType } from './entry-type.ts'

/** What lstat(2) says of a file of the host. `target` is a symlink's. */
export function treeEntry(stats: BigIntStats, target: Buffer | undefined): TreeEntry {
  const type = findEntryType(Number(stats.mode))
  if (type === undefined) throw new TypeError(`a file of mode ${stats.mode} is of no known type`)
  return {
    type,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    sizeBytes: type === 'file' ? Number(stats.size) : 0,
    mtimeNs: stats.mtimeNs,
    major: Number((stats.rdev >> 8n & 0xfffn) | (stats.rdev >> 32n & ~0xfffn)),
    minor: Number((stats.rdev & 0xffn) | (stats.rdev >> 12n & ~0xffn)),
    fileId: `${stats.dev}:${stats.ino}`,
    nlink: Number(stats.nlink),
    target,
  }
}
