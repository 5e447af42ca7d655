import type { BigIntStats } from 'node:fs'
import type { TreeEntry } from '../../layer-store.ts'

/** What lstat(2) says of a file of the host. `target` is a symlink's. */
export function treeEntry(stats: BigIntStats, target: Buffer | undefined): TreeEntry {
  return {
    type: entryType(stats),
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    sizeBytes: stats.isFile() ? Number(stats.size) : 0,
    mtimeNs: stats.mtimeNs,
    major: Number((stats.rdev >> 8n & 0xfffn) | (stats.rdev >> 32n & ~0xfffn)),
    minor: Number((stats.rdev & 0xffn) | (stats.rdev >> 12n & ~0xffn)),
    fileId: `${stats.dev}:${stats.ino}`,
    nlink: Number(stats.nlink),
    target,
  }
}

function entryType(stats: BigIntStats): TreeEntry['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isCharacterDevice()) return 'char'
  if (stats.isBlockDevice()) return 'block'
  return stats.isFIFO() ? 'fifo' : 'socket'
}
