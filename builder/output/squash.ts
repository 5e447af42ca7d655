import type { Task } from '../../core/task.ts'
import type { ChainId } from '../../oci/digest.ts'
import type { ChangesetEntry, Layer, RootfsView, Store, TreeEntry } from '../../storage/index.ts'
import { compareEntryPaths, packChangeset } from '../../storage/index.ts'
import { joinPath } from '../copy/select.ts'
import type { ViewEntry } from './view-entries.ts'
import { viewEntries } from './view-entries.ts'

/** One layer in place of those from above `base` up to `top`: what they add together, without what they add and remove. */
export async function squashLayers(store: Store, { base, top }: { base: ChainId | undefined; top: ChainId }, task: Task): Promise<Layer> {
  const below = store.layers.view(base)
  const above = store.layers.view(top)
  const changes = await compareViews(below, above, task)
  const entries: ChangesetEntry[] = [
    ...await viewEntries(above, changes.changed),
    ...changes.gone.map((path): ChangesetEntry => ({ path, type: 'whiteout' })),
  ]
  entries.sort((one, other) => compareEntryPaths(one.path, other.path))
  return store.layers.apply(base, packChangeset(entries, task), undefined, task)
}

interface Changes {
  readonly changed: ViewEntry[]
  readonly gone: Buffer[]
}

const rootPath = Buffer.from('/')
const nothing = Buffer.alloc(0)
const slash = Buffer.from('/')

/** What of `above` is not as it is in `below`; a directory that is the very one of below has nothing changed in it. */
async function compareViews(below: RootfsView, above: RootfsView, task: Task): Promise<Changes> {
  const changes: Changes = { changed: [], gone: [] }
  const visit = async (relative: Buffer, path: Buffer, entry: TreeEntry): Promise<void> => {
    task.signal.throwIfAborted()
    const before = await below.lstat(path)
    if (isSame(before, entry) || entry.type === 'socket') return
    if (relative.length > 0 || hasOtherOwner(before, entry)) changes.changed.push({ relative, path, entry, xattrs: await above.xattrs(path) })
    if (entry.type !== 'directory') return
    const names = await above.list(path)
    for (const name of names) {
      const child = await above.lstat(joinPath(path, name))
      if (child !== undefined) await visit(inside(relative, name), joinPath(path, name), child)
    }
    if (before?.type !== 'directory') return
    const kept = new Set(names.map((name) => name.toString('latin1')))
    const missing = (await below.list(path)).filter((name) => !kept.has(name.toString('latin1')))
    changes.gone.push(...missing.map((name) => inside(relative, name)))
  }
  const root = await above.lstat(rootPath)
  if (root !== undefined) await visit(nothing, rootPath, root)
  changes.changed.sort((one, other) => compareEntryPaths(one.relative, other.relative))
  return changes
}

function isSame(before: TreeEntry | undefined, entry: TreeEntry): boolean {
  return before?.fileId === entry.fileId && before.type === entry.type && before.mtimeNs === entry.mtimeNs && before.mode === entry.mode
    && before.uid === entry.uid && before.gid === entry.gid && before.sizeBytes === entry.sizeBytes
}

function inside(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, slash, name])
}

/** Of the root directory, whose time changes with what is in it, a layer says something only if this differs. */
function hasOtherOwner(before: TreeEntry | undefined, entry: TreeEntry): boolean {
  return before?.mode !== entry.mode || before.uid !== entry.uid || before.gid !== entry.gid
}
