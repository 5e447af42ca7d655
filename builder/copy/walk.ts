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
  /** Of that content, where it may be known without reading it. */
  readonly digest?: () => string
}

/** A view that reads trees as a whole, which is faster than asking for each entry. */
export interface ScanningView extends RootfsView {
  scan(roots: readonly SelectedRoot[]): Promise<ScannedRoot[]>
}

export interface ScannedRoot {
  /** What walkRoot gives. */
  entries(): readonly WalkedEntry[]
  /** What rootDigest gives for a root of this name, without making the entries. */
  digest(name: Buffer): Promise<string>
}

export function isScanning(view: RootfsView): view is ScanningView {
  return 'scan' in view
}

const nothing = Buffer.alloc(0)
const slash = Buffer.from('/')

/** Everything a COPY of this root copies. Sockets are left out, as no changeset can hold one. */
export async function walkRoot(view: RootfsView, root: SelectedRoot): Promise<readonly WalkedEntry[]> {
  if (isScanning(view)) return (await view.scan([root])).flatMap((scanned) => scanned.entries())
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
