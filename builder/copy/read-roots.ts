import type { RootfsView } from '../../storage/index.ts'
import type { CopyEntry, CopyRoot } from './place.ts'
import type { SelectedRoot } from './select.ts'
import { baseName, selectRoots } from './select.ts'
import type { WalkedEntry } from './walk.ts'
import { walkRoot } from './walk.ts'

/** What a path or pattern names in a view, each with all it holds. */
export async function readRoots(view: RootfsView, pattern: string): Promise<CopyRoot[]> {
  const roots: CopyRoot[] = []
  for (const root of await selectRoots(view, pattern)) roots.push(await readRoot(view, root))
  return roots
}

async function readRoot(view: RootfsView, root: SelectedRoot): Promise<CopyRoot> {
  return { name: baseName(root.path), entries: await withContents(view, await walkRoot(view, root)) }
}

export async function withContents(view: RootfsView, walked: readonly WalkedEntry[]): Promise<CopyEntry[]> {
  const entries: CopyEntry[] = []
  for (const { relative, path, entry, xattrs } of walked) {
    entries.push({ relative, entry, xattrs, content: entry.type === 'file' ? await view.content(path) : undefined })
  }
  return entries
}
