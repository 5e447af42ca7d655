import { silent } from '../../core/task.ts'
import type { ChangesetEntry, RootfsView, Store, TreeEntry } from '../../storage/index.ts'
import { packChangeset } from '../../storage/index.ts'
import { cacheKey } from '../cache/cache-key.ts'
import { resolveUser } from '../container/user.ts'
import { placeCopies } from '../copy/place.ts'
import type { MkdirNode } from '../plan/plan.ts'
import type { CachedLayers } from './cached-layers.ts'
import type { Executed, Executor } from './executor.ts'

/** The directory has no time of its own; a fixed one keeps the layer reproducible. */
const directory: Omit<TreeEntry, 'uid' | 'gid'> = {
  type: 'directory', mode: 0o755, sizeBytes: 0, mtimeNs: 0n, major: 0, minor: 0, fileId: '', nlink: 1, target: undefined,
}

/** WORKDIR: a layer with the directory and those above it that are missing, owned by the current user; empty if it is there. */
export function createMkdirExecutor({ store, layers }: { store: Store; layers: CachedLayers }): Executor<MkdirNode> {
  return {
    find: ({ node, input }) => {
      const base = input(node.base)
      return layers.find(cacheKey('mkdir', [
        { name: 'base', value: base.chainId ?? '' },
        { name: 'workdir', value: node.path },
        { name: 'user', value: node.user },
      ]), base)
    },
    run: async ({ node, input }, key, task): Promise<Executed> => {
      const base = input(node.base)
      await base.ensure(task)
      const view = store.layers.view(base.chainId)
      const entries = await missingDirectories(view, node)
      const layer = await store.layers.apply(base.chainId, packChangeset(entries, silent(task)), undefined, silent(task))
      return { result: layers.record(key, layer, base), usage: undefined }
    },
  }
}

async function missingDirectories(view: RootfsView, { path, user }: MkdirNode): Promise<ChangesetEntry[]> {
  const resolved = await view.resolve(path)
  if ((await view.lstat(resolved))?.type === 'directory') return []
  const { uid, gid } = await resolveUser(view, user)
  const entry: TreeEntry = { ...directory, uid, gid }
  return placeCopies(view, [{ name: Buffer.alloc(0), entries: [{ relative: Buffer.alloc(0), entry, xattrs: new Map(), content: undefined }] }], {
    destination: path,
    owner: { uid, gid },
    mode: (_, mode) => mode,
    parentMode: directory.mode,
  })
}
