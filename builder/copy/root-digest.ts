import { sha256 } from '../../oci/digest.ts'
import type { KeyPart } from '../cache/cache-key.ts'
import { contentDigest } from './content-digest.ts'
import type { CopyEntry, CopyRoot } from './place.ts'

/** What a root and all it holds is, times apart: a directory is known by what it holds, anything else also by its name. */
export function rootDigest({ name, entries }: CopyRoot): string {
  const isDirectory = entries[0]?.entry.type === 'directory'
  const firstOfFile = new Map<string, number>()
  const identities = entries.map((copied, index) => {
    const { type, nlink, fileId } = copied.entry
    if (type !== 'file' || nlink < 2) return entryIdentity(copied)
    const first = firstOfFile.get(fileId)
    if (first === undefined) firstOfFile.set(fileId, index)
    return first === undefined ? entryIdentity(copied) : [copied.relative.toString('latin1'), 'link', first]
  })
  return sha256(JSON.stringify([isDirectory ? '' : name.toString('latin1'), identities]))
}

/** What each file of a root is, named for people. */
export function fileParts({ name, entries }: CopyRoot): KeyPart[] {
  return entries.map((copied) => ({ name: `file ${[name, copied.relative].filter(({ length }) => length > 0).map(String).join('/')}`, value: sha256(JSON.stringify(entryIdentity(copied))) }))
}

/** What makes two entries equal in a changeset, apart from times. */
function entryIdentity({ relative, entry, xattrs, content, digest }: CopyEntry): unknown[] {
  const { type, mode, uid, gid, sizeBytes, major, minor, target } = entry
  return [
    relative.toString('latin1'), type, mode, uid, gid, sizeBytes, major, minor, target?.toString('latin1') ?? '',
    content === undefined ? '' : digest?.() ?? contentDigest(content),
    [...xattrs].map(([key, value]) => [key, value.toString('hex')]),
  ]
}
