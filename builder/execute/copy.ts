import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { RootfsView, Store, TreeEntry } from '../../storage/index.ts'
import type { CacheKey, KeyPart } from '../cache/cache-key.ts'
import { cacheKey } from '../cache/cache-key.ts'
import { resolveOwner } from '../container/user.ts'
import { missingSource } from '../copy/missing-source.ts'
import type { CopyRoot, CopyRules } from '../copy/place.ts'
import { placeCopies } from '../copy/place.ts'
import { readRoots } from '../copy/read-roots.ts'
import { fileParts, rootDigest } from '../copy/root-digest.ts'
import { cleanSource, isPattern } from '../copy/select.ts'
import { isArchive, unpackArchive } from '../copy/unpack-archive.ts'
import { applyChmod } from '../dockerfile/values/chmod.ts'
import type { BuildEvent } from '../events.ts'
import type { SecretGuard } from '../guard/secret-guard.ts'
import type { CopyNode, NodeId } from '../plan/plan.ts'
import type { CachedLayers } from './cached-layers.ts'
import type { Executed, Executor, Lookup, Step } from './executor.ts'

const madeDirectoryMode = 0o755
const inlineMode = 0o644
const nothing = Buffer.alloc(0)

export interface CopyParts {
  readonly store: Store
  readonly layers: CachedLayers
  readonly guard: SecretGuard
  readonly context: (name: string | undefined) => Promise<RootfsView>
}

/** COPY and ADD: writes the changeset from what is selected, without mounting anything. */
export function createCopyExecutor(parts: CopyParts): Executor<CopyNode> {
  const { store, layers, guard } = parts
  const copying = new Map<string, Promise<Selected[]>>()
  const select = (step: Step<CopyNode>, task: Task<BuildEvent>): Promise<Selected[]> => {
    const started = copying.get(step.id) ?? selectSources(step, parts, task)
    copying.set(step.id, started)
    return started
  }
  return {
    /** A copy from a stage is first looked up by the stage's layers, which costs nothing; then, as all others, by what is copied. */
    find: async (step, task): Promise<Lookup> => {
      const base = step.input(step.node.base)
      const byStage = stageKey(step)
      if (byStage !== undefined) {
        const lookup = await layers.find(byStage, base)
        if (lookup.kind === 'hit') return lookup
      }
      const lookup = await layers.find(await contentKey(step, await select(step, task)), base)
      if (lookup.kind === 'hit' && byStage !== undefined) layers.alias(byStage, lookup.key, lookup.result)
      return lookup
    },
    run: async (step, key, task): Promise<Executed> => {
      const base = step.input(step.node.base)
      await base.ensure(task)
      const view = store.layers.view(base.chainId)
      const roots = await unpackRoots(await select(step, task), store, task)
      const entries = await placeCopies(step.node.isLink ? store.layers.view(undefined) : view, roots, await copyRules(view, step.node))
      copying.delete(step.id)
      const layer = await store.layers.apply(base.chainId, guard.changeset(entries, silent(task)), undefined, silent(task))
      const result = layers.record(key, layer, base)
      const byStage = stageKey(step)
      if (byStage !== undefined) layers.alias(byStage, key, result)
      return { result, usage: undefined }
    },
  }
}

/** Roots by what they come from: some are unpacked when they are archives. */
interface Selected { readonly root: CopyRoot; readonly isUnpacked: boolean }

async function selectSources(step: Step<CopyNode>, { store, context }: CopyParts, task: Task<BuildEvent>): Promise<Selected[]> {
  const { from, sources, unpacks, excludes, keepsParents } = step.node
  const isContext = from.kind === 'context'
  const selected: Selected[] = []
  for (const source of sources) {
    task.signal.throwIfAborted()
    if (source.kind === 'inline') {
      selected.push({ root: inlineRoot(source), isUnpacked: false })
      continue
    }
    if (source.kind === 'remote') {
      const view = await resultView(step, source.node, { store, task })
      const roots = await readRoots(view, source.isFile ? '/*' : '/', { excludes, keepsParents: false })
      selected.push(...roots.map((root) => ({ root, isUnpacked: unpacks.remote && source.isFile })))
      continue
    }
    const view = from.kind === 'context' ? await context(from.name) : await resultView(step, from.node, { store, task })
    const roots = await readRoots(view, source.pattern, { excludes, keepsParents })
    // Of a literal that is there everything may be left out; nothing may be found only where a pattern was written.
    if (roots.length === 0 && !isPattern(source.pattern) && !await isThere(view, source.pattern)) throw await missingSource(view, source.pattern, isContext ? 'the build context' : 'the source stage')
    selected.push(...roots.map((root) => ({ root, isUnpacked: unpacks.local })))
  }
  return selected
}

async function isThere(view: RootfsView, source: string): Promise<boolean> {
  return await view.lstat(await view.resolve(cleanSource(source))) !== undefined
}

async function resultView(step: Step<CopyNode>, node: NodeId | undefined, { store, task }: { store: Store; task: Task<BuildEvent> }): Promise<RootfsView> {
  const result = step.input(node)
  await result.ensure(task)
  return store.layers.view(result.chainId)
}

/** Archives become what they hold. */
async function unpackRoots(selected: readonly Selected[], store: Store, task: Task<BuildEvent>): Promise<CopyRoot[]> {
  const roots: CopyRoot[] = []
  for (const { root, isUnpacked } of selected) {
    const content = root.entries[0]?.content
    const isUnpackable = isUnpacked && content !== undefined && await isArchive(content, task)
    roots.push(isUnpackable ? await unpackArchive(content, store, task) : root)
  }
  return roots
}

function inlineRoot({ name, content }: { name: string; content: string }): CopyRoot {
  const bytes = Buffer.from(content)
  const entry: TreeEntry = { type: 'file', mode: inlineMode, uid: 0, gid: 0, sizeBytes: bytes.length, mtimeNs: 0n, major: 0, minor: 0, fileId: '', nlink: 1, target: undefined }
  return { name: Buffer.from(name), entries: [{ relative: nothing, entry, xattrs: new Map(), content: { kind: 'bytes', bytes } }] }
}

async function copyRules(view: RootfsView, node: CopyNode): Promise<CopyRules> {
  const { chmod, chown, destination } = node
  return {
    destination,
    owner: chown === undefined ? undefined : await resolveOwner(view, chown),
    mode: (type, mode) => chmod === undefined ? mode : applyChmod(chmod, { mode, isDirectory: type === 'directory' }),
    parentMode: chmod?.kind === 'octal' ? chmod.mode : madeDirectoryMode,
  }
}

/** What a copy does, apart from what it copies. */
function definition({ node, input }: Step<CopyNode>): KeyPart[] {
  return [
    ...(isFreeOfBase(node) ? [] : [{ name: 'base', value: input(node.base).chainId ?? '' }]),
    { name: 'destination', value: node.destination },
    { name: 'chown', value: JSON.stringify(node.chown ?? null) },
    { name: 'chmod', value: JSON.stringify(node.chmod ?? null) },
    ...(node.excludes.length === 0 ? [] : [{ name: 'exclude', value: JSON.stringify(node.excludes) }]),
    ...(node.keepsParents ? [{ name: 'parents', value: 'kept' }] : []),
    ...(node.isLink ? [{ name: 'link', value: 'yes' }] : []),
    ...(node.unpacks.local || node.unpacks.remote ? [{ name: 'unpack', value: JSON.stringify(node.unpacks) }] : []),
  ]
}

/** A linked copy is the same layer on every base, unless the base's files say who its owner is. */
function isFreeOfBase({ isLink, chown }: CopyNode): boolean {
  return isLink && [chown?.user, chown?.group].every((name) => name === undefined || /^\d+$/u.test(name))
}

/** undefined when only the content of what is copied can tell. */
function stageKey(step: Step<CopyNode>): CacheKey | undefined {
  const { from, sources } = step.node
  if (from.kind === 'context' && sources.some(({ kind }) => kind === 'path')) return undefined
  const nodes = [...from.kind === 'node' ? [from.node] : [], ...sources.flatMap((source) => source.kind === 'remote' ? source.node : [])]
  const named = sources.map((source) => source.kind === 'remote' ? { kind: source.kind, isFile: source.isFile } : source)
  return cacheKey('copy by stage', [...definition(step), { name: 'stage', value: nodes.map((node) => step.input(node).chainId ?? '').join() }, { name: 'sources', value: JSON.stringify(named) }])
}

/** Times are left out: a fresh checkout of the same files is the same. */
async function contentKey(step: Step<CopyNode>, selected: readonly Selected[]): Promise<CacheKey> {
  const files = await Promise.all(selected.map(async ({ root }, index): Promise<KeyPart> => ({ name: `source ${index}`, value: await rootDigest(root) })))
  return { ...cacheKey('copy', [...definition(step), ...files]), files: () => selected.flatMap(({ root }) => fileParts(root)) }
}
