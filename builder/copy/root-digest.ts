import { sha256 } from '../../oci/digest.ts'
import type { KeyPart } from '../cache/cache-key.ts'
import { contentDigest } from './content-digest.ts'
import { EntryHash } from './entry-hash.ts'
import type { CopyEntry, CopyRoot } from './place.ts'

/** What a root and all it holds is, times apart: a directory is known by what it holds, anything else also by its name. */
export async function rootDigest(root: CopyRoot): Promise<string> {
  if (root.digest !== undefined) return root.digest(root.name)
  const isDirectory = root.entries[0]?.entry.type === 'directory'
  const hash = new EntryHash(isDirectory ? '' : root.name.toString('latin1'))
  for (const copied of root.entries) hash.add(copied, digestOf(copied))
  return hash.finish()
}

/** What each file of a root is, named for people. */
export function fileParts({ name, entries }: CopyRoot): KeyPart[] {
  return entries.map((copied) => ({ name: `file ${[name, copied.relative].filter(({ length }) => length > 0).map(String).join('/')}`, value: sha256(JSON.stringify(entryIdentity(copied))) }))
}

/** What makes two entries equal in a changeset, apart from times. */
function entryIdentity(copied: CopyEntry): unknown[] {
  const { type, mode, uid, gid, sizeBytes, major, minor, target } = copied.entry
  return [
    copied.relative.toString('latin1'), type, mode, uid, gid, sizeBytes, major, minor, target?.toString('latin1') ?? '',
    digestOf(copied),
    [...copied.xattrs].map(([key, value]) => [key, value.toString('hex')]),
  ]
}

function digestOf({ content, digest }: CopyEntry): string {
  return content === undefined ? '' : digest?.() ?? contentDigest(content)
}
