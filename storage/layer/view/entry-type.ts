import { constants } from 'node:fs'
import type { TreeEntry } from '../../layer-store.ts'

const types: ReadonlyMap<number, TreeEntry['type']> = new Map([
  [constants.S_IFREG, 'file'], [constants.S_IFDIR, 'directory'], [constants.S_IFLNK, 'symlink'], [constants.S_IFCHR, 'char'], [constants.S_IFBLK, 'block'],
  [constants.S_IFIFO, 'fifo'], [constants.S_IFSOCK, 'socket'],
])

/** What an inode of this mode is; undefined for a mode that no file of Linux has. */
export function findEntryType(mode: number): TreeEntry['type'] | undefined {
  return types.get(mode & constants.S_IFMT)
}
