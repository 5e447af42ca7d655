import { chmodSync, chownSync, lstatSync, utimesSync } from 'node:fs'
import { getAddon } from '../../native/index.ts'

const overlayPrefix = /^(?:trusted|user)\.overlay\./u
const portable = /^(?:user\.|trusted\.|security\.capability$|system\.posix_acl_(?:access|default)$)/u

/**
 * The merged root directory is the one of the top layer or of the upperdir, so one that says nothing about the root
 * repeats what is below it.
 */
export function copyRootMetadata(from: string | undefined, to: string): void {
  if (from === undefined) {
    chmodSync(to, 0o755)
    return
  }
  const { uid, gid, mode, atime, mtime } = lstatSync(from)
  chownSync(to, uid, gid)
  chmodSync(to, mode & 0o7777)
  for (const [name, value] of readPortableXattrs(from)) getAddon().setXattr(to, name, value)
  utimesSync(to, atime, mtime)
}

/** Whether owner, mode and attributes are those that `copyRootMetadata` gives. */
export function hasRootMetadata(from: string | undefined, to: string): boolean {
  const wanted = from === undefined ? { uid: 0, gid: 0, mode: 0o755 } : lstatSync(from)
  const { uid, gid, mode } = lstatSync(to)
  if (uid !== wanted.uid || gid !== wanted.gid || (mode & 0o7777) !== (wanted.mode & 0o7777)) return false
  const wantedXattrs = from === undefined ? [] : readPortableXattrs(from)
  const xattrs = new Map(readPortableXattrs(to))
  return xattrs.size === wantedXattrs.length && wantedXattrs.every(([name, value]) => xattrs.get(name)?.equals(value) === true)
}

function readPortableXattrs(path: string): [string, Buffer][] {
  return getAddon().readXattrs(path).filter(([name]) => portable.test(name) && !overlayPrefix.test(name))
}

/**
 * Extended attributes of a file of the host as a changeset carries them: labels of the host's security modules are not
 * among them, file capabilities are. A link is not followed.
 */
export function readXattrs(path: string | Buffer): ReadonlyMap<string, Buffer> {
  return new Map(getAddon().readXattrs(path).filter(([name]) => portable.test(name)))
}
