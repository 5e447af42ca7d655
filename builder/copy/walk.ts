import type { FileContent, RootfsView, TreeEntry } from '../../storage/index.ts'
import type { SelectedRoot } from './select.ts'
import { joinPath } from './select.ts'

/** One entry below a root that is copied, the root itself first, then depth first with names in byte order. */
export interface WalkedEntry {
  /** Below the root: `` for itself, `a/b` for what it holds. */
  readonly relative: Buffer
  /** In the source view, without a link in it. */
  readonly path: Buffer
  readonly entry: TreeEntry
  readonly xattrs: ReadonlyMap<string, Buffer>
  /** Of a regular file that was met on the walk. */
  readonly content?: FileContent | undefined
}

const nothing = Buffer.alloc(0)
const slash = Buffer.from('/')

/** Everything a COPY of this root copies. Sockets are left out, as no changeset can hold one. */
export async function walkRoot(view: RootfsView, root: SelectedRoot): Promise<WalkedEntry[]> {
  const walked: WalkedEntry[] = []
  const visit = async (relative: Buffer, path: Buffer, entry: TreeEntry): Promise<void> => {
    if (entry.type === 'socket') return
    const content = entry.type === 'file' ? await view.content(path) : undefined
    walked.push({ relative, path, entry, xattrs: await view.xattrs(path), content })
    if (entry.type !== 'directory') return
    for (const name of await view.list(path)) {
      const inside = joinPath(path, name)
      const child = await view.lstat(inside)
      if (child !== undefined) await visit(relative.length === 0 ? name : Buffer.concat([relative, slash, name]), inside, child)
    }
  }
  await visit(nothing, root.followed, root.entry)
  return walked
}
