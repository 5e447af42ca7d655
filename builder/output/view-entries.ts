import type { ChangesetEntry, RootfsView, TreeEntry } from '../../storage/index.ts'
import { changesetEntry, metadataOf } from '../copy/place.ts'

/** Something of a view that a changeset is to have, in the order of the changeset. */
export interface ViewEntry {
  readonly relative: Buffer
  readonly path: Buffer
  readonly entry: TreeEntry
  readonly xattrs: ReadonlyMap<string, Buffer>
}

/** Entries of a changeset for entries of a view; names of one file stay names of one file. */
export async function viewEntries(view: RootfsView, found: readonly ViewEntry[]): Promise<ChangesetEntry[]> {
  const firstOfFile = new Map<string, Buffer>()
  const entries: ChangesetEntry[] = []
  for (const { relative, path, entry, xattrs } of found) {
    const first = entry.type === 'file' && entry.nlink > 1 ? firstOfFile.get(entry.fileId) : undefined
    if (entry.type === 'file' && first === undefined) firstOfFile.set(entry.fileId, relative)
    entries.push(first === undefined
      ? changesetEntry(relative, entry, { xattrs, content: entry.type === 'file' ? await view.content(path) : undefined })
      : { path: relative, type: 'hard-link', target: first, ...metadataOf(entry, xattrs) })
  }
  return entries
}
