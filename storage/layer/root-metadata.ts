import { chmodSync, chownSync, lstatSync, utimesSync } from 'node:fs'
import { getAddon } from '../../native/index.ts'

const overlayPrefix = /^(?:trusted|user)\.overlay\./u
const portable = /^(?:user\.|trusted\.|security\.capability$|system\.posix_acl_(?:access|default)$)/u

/** What a layer that says nothing about the root directory repeats of the one below it: the merged root is that of the top. */
export interface RootMetadata {
  readonly uid: number
  readonly gid: number
  /** 0..0o7777. */
  readonly mode: number
  readonly times: { readonly atime: Date; readonly mtime: Date } | undefined
  readonly xattrs: ReadonlyMap<string, Buffer>
}

/** Of a directory of the host; undefined is the empty root. */
export function readRootMetadata(path: string | undefined): RootMetadata {
  if (path === undefined) return { uid: 0, gid: 0, mode: 0o755, times: undefined, xattrs: new Map() }
  const { uid, gid, mode, atime, mtime } = lstatSync(path)
  return { uid, gid, mode: mode & 0o7777, times: { atime, mtime }, xattrs: readOwnXattrs(path) }
}

export function applyRootMetadata(root: RootMetadata, to: string): void {
  if (root.times === undefined) {
    chmodSync(to, root.mode)
    return
  }
  chownSync(to, root.uid, root.gid)
  chmodSync(to, root.mode)
  for (const [name, value] of root.xattrs) getAddon().setXattr(to, name, value)
  utimesSync(to, root.times.atime, root.times.mtime)
}

/** Whether owner, mode and attributes are those that `applyRootMetadata` gives. */
export function hasRootMetadata(root: RootMetadata, path: string): boolean {
  const { uid, gid, mode, xattrs } = readRootMetadata(path)
  if (uid !== root.uid || gid !== root.gid || mode !== root.mode || xattrs.size !== root.xattrs.size) return false
  return [...root.xattrs].every(([name, value]) => xattrs.get(name)?.equals(value) === true)
}

/** What overlayfs notes in them is not among them. */
function readOwnXattrs(path: string): ReadonlyMap<string, Buffer> {
  return new Map([...readXattrs(path)].filter(([name]) => !overlayPrefix.test(name)))
}

/**
 * Extended attributes of a file of the host as a changeset carries them: labels of the host's security modules are not
 * among them, file capabilities are. A link is not followed.
 */
export function readXattrs(path: string | Buffer): ReadonlyMap<string, Buffer> {
  return new Map(getAddon().readXattrs(path).filter(([name]) => portable.test(name)))
}
