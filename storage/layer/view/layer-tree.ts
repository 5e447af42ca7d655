import type { TreeEntry } from '../../layer-store.ts'
import type { FileContent } from '../changeset/changeset-entry.ts'

/**
 * One layer as it is kept, whiteouts and opaque marks included. Paths are relative to its root, without links, `.` and
 * `..`, empty for the root itself; they and names are Latin-1, one character a byte.
 */
export interface LayerTree {
  /** undefined when the layer has nothing there. */
  lstat(path: string): TreeEntry | undefined
  /** Of a directory. */
  list(path: string): ListedName[]
  /** Raw: escaped, and with overlayfs's own. */
  xattrs(path: string): ReadonlyMap<string, Buffer>
  /** Of a regular file. */
  content(path: string): FileContent
}

export interface ListedName { readonly name: string; readonly isWhiteout: boolean }
