import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { ChainId } from '../../oci/digest.ts'
import type { ChangesetEntry, RootfsView } from '../../storage/index.ts'
import { packChangeset } from '../../storage/index.ts'
import { cacheKey } from '../cache/cache-key.ts'
import { missingSource } from '../copy/missing-source.ts'
import type { CopyRoot } from '../copy/place.ts'
import { placeCopies } from '../copy/place.ts'
import { readRoots } from '../copy/read-roots.ts'
import { rootDigest } from '../copy/root-digest.ts'
import { baseName, cleanSource } from '../copy/select.ts'
import type { BuildEvent } from '../events.ts'
import type { NodeResult, Step } from '../execute/executor.ts'
import { emptyResult } from '../execute/executor.ts'
import type { CopyOrigin, PlannedBindMount, PlannedCacheMount, RunNode } from '../plan/plan.ts'
import type { MountParts } from './mount-parts.ts'

export type SourcedMount = PlannedBindMount | PlannedCacheMount

/** What is mounted: a tree of layers, and the place in it. */
export interface MountSource {
  readonly chainId: ChainId | undefined
  /** Relative to the tree's root. */
  readonly path: string
}

/**
 * What a bind mount shows. Of a stage or an image it is the tree as it is. Of the build context it is a copy in the
 * store: only so is nothing in it that .dockerignore hides, everything root's, and nothing written back.
 */
export async function openMountSource(mount: PlannedBindMount, { step, parts }: { step: Step<RunNode>; parts: MountParts }, task: Task<BuildEvent>): Promise<MountSource> {
  if (mount.from.kind === 'node') {
    const result = step.input(mount.from.node)
    await result.ensure(task)
    const view = parts.store.layers.view(result.chainId)
    const path = cleanSource(mount.source)
    if (await view.lstat(await view.resolve(path)) === undefined) throw await missingSource(view, mount.source, 'the source stage')
    return { chainId: result.chainId, path: path.slice(1) }
  }
  const root = await readMountRoot(await parts.context(mount.from.name), mount.source)
  const key = cacheKey('mount source', [{ name: 'content', value: await rootDigest(root) }, { name: 'times', value: root.entries.map(({ entry }) => entry.mtimeNs).join() }])
  const found = await parts.layers.find(key, emptyResult)
  const result = found.kind === 'hit' ? found.result : await storeRoot(root, key, parts, task)
  return { chainId: result.chainId, path: isDirectory(root) ? '' : root.name.toString() }
}

// eslint-disable-next-line max-params -- what it makes, its name, where, and the task
async function storeRoot(root: CopyRoot, key: ReturnType<typeof cacheKey>, { store, layers }: MountParts, task: Task<BuildEvent>): Promise<NodeResult> {
  const layer = await store.layers.apply(undefined, packChangeset(await asTree(store.layers.view(undefined), root), silent(task)), undefined, silent(task))
  return layers.record(key, layer, emptyResult)
}

/** The changeset that makes a root the content of an empty tree. */
export function asTree(empty: RootfsView, root: CopyRoot): Promise<ChangesetEntry[]> {
  return placeCopies(empty, [root], { destination: '/', owner: undefined, mode: (_, mode) => mode, parentMode: 0o755 })
}

/** @throws {CopySourceMissing} */
export async function readMountRoot(view: RootfsView, source: string): Promise<CopyRoot> {
  const path = cleanSource(source)
  // Names are no patterns here, so every character that could make one is quoted.
  const [root] = await readRoots(view, path.replace(/[*?[\\]/gu, '\\$&'))
  if (root === undefined) throw await missingSource(view, source, 'the build context')
  return { name: baseName(Buffer.from(path)), get entries() { return root.entries }, digest: root.digest }
}

function isDirectory({ entries }: CopyRoot): boolean {
  return entries[0]?.entry.type === 'directory'
}

/** A bind source as the key of its step has it, by content; for a stage or image there is a cheaper one, by layers. */
export async function mountSourceDigest(mount: SourcedMount, { step, parts }: { step: Step<RunNode>; parts: MountParts }, task: Task<BuildEvent>): Promise<string> {
  if (mount.from === undefined) return ''
  return rootDigest(await readMountRoot(await originView(mount.from, { step, parts }, task), mount.source))
}

export async function originView(from: CopyOrigin, { step, parts }: { step: Step<RunNode>; parts: MountParts }, task: Task<BuildEvent>): Promise<RootfsView> {
  if (from.kind === 'context') return parts.context(from.name)
  const result = step.input(from.node)
  await result.ensure(task)
  return parts.store.layers.view(result.chainId)
}
