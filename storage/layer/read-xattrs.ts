import { getAddon } from '../../native/index.ts'

const portable = /^(?:user\.|trusted\.|security\.capability$|system\.posix_acl_(?:access|default)$)/u

/**
 * Extended attributes of a file of the host as a changeset carries them: labels of the host's security modules are not
 * among them, file capabilities are. A link is not followed.
 */
export function readXattrs(path: string | Buffer): ReadonlyMap<string, Buffer> {
  return new Map(getAddon().readXattrs(path).filter(([name]) => portable.test(name)))
}
