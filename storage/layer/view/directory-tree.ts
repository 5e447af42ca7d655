import type { Stats } from 'node:fs'
import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { isErrno } from '../../../core/errors.ts'
import type { TreeEntry } from '../../layer-store.ts'
import type { FileContent } from '../changeset/changeset-entry.ts'
import { readXattrs } from '../read-xattrs.ts'
import type { LayerTree, ListedName } from './layer-tree.ts'
import { treeEntry } from './tree-entry.ts'

/** A layer in a directory of the host. */
export class DirectoryTree implements LayerTree {
  readonly #directory: string
  readonly #root: string

  constructor(directory: string) {
    this.#directory = directory
    this.#root = Buffer.from(directory).toString('latin1')
  }

  lstat(path: string): TreeEntry | undefined {
    try {
      return readEntry(this.#hostPath(path))
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }

  list(path: string): ListedName[] {
    return readdirSync(this.#hostPath(path), { encoding: 'buffer', withFileTypes: true }).map((entry) => {
      const name = entry.name.toString('latin1')
      return { name, isWhiteout: (entry.isCharacterDevice() || entry.isSocket()) && isWhiteoutMark(lstatSync(this.#hostPath(`${path}/${name}`))) }
    })
  }

  xattrs(path: string): ReadonlyMap<string, Buffer> {
    return readXattrs(this.#hostPath(path))
  }

  content(path: string): FileContent {
    return { kind: 'host', root: this.#directory, path: Buffer.from(path, 'latin1'), sizeBytes: lstatSync(this.#hostPath(path)).size }
  }

  #hostPath(path: string): Buffer {
    return Buffer.from(`${this.#root}/${path}`, 'latin1')
  }
}

/** As in native/helper/tree/files/whiteout.h. */
function isWhiteoutMark(stats: Stats): boolean {
  return stats.isCharacterDevice() ? stats.rdev === 0 : (stats.mode & 0o7777) === 0 && stats.mtimeMs === 0
}

function readEntry(path: Buffer): TreeEntry {
  const stats = lstatSync(path, { bigint: true })
  return treeEntry(stats, stats.isSymbolicLink() ? readlinkSync(path, 'buffer') : undefined)
}
