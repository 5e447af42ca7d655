import { getAddon } from '../../native/index.ts'

const portable = /^(?:user\.|trusted\.|security\.capability$|system\.posix_acl_(?:access|default)$)/u

/** One attribute of a file of the host; undefined when it has none of this name. A link is not followed. */
export function readXattr(path: string | Buffer, name: string): Buffer | undefined {
  return getAddon().getXattr(path, name)
}

/**
 * Extended attributes of a file of the host as a changeset carries them: labels of the host's security modules are not
 * among them, file capabilities are. A link is not followed.
 */
export function readXattrs(path: string | Buffer): ReadonlyMap<string, Buffer> {
  return new Map(getAddon().readXattrs(path).filter(([name]) => portable.test(name)))
}
