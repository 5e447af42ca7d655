import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import { sha256 } from '../../oci/digest.ts'
import type { RootfsView, Store, TreeEntry } from '../../storage/index.ts'
import { packChangeset } from '../../storage/index.ts'
import type { CacheKey, KeyPart } from '../cache/cache-key.ts'
import { cacheKey } from '../cache/cache-key.ts'
import { resolveOwner } from '../container/user.ts'
import type { CopyRoot, CopyRules } from '../copy/place.ts'
import { placeCopies } from '../copy/place.ts'
import { readRoots } from '../copy/read-roots.ts'
import { entryIdentity, rootDigest } from '../copy/root-digest.ts'
import { isPattern } from '../copy/select.ts'
import { applyChmod } from '../dockerfile/values/chmod.ts'
import { CopySourceMissing } from '../errors.ts'
import type { BuildEvent } from '../events.ts'
import type { CopyNode } from '../plan/plan.ts'
import type { CachedLayers } from './cached-layers.ts'
import type { Executed, Executor, Lookup, Step } from './executor.ts'

const madeDirectoryMode = 0o755
const inlineMode = 0o644
const nothing = Buffer.alloc(0)

/** COPY and local ADD: writes the changeset from what is selected, without mounting anything. */
export function createCopyExecutor(parts: { readonly store: Store; readonly layers: CachedLayers; readonly context: () => Promise<RootfsView> }): Executor<CopyNode> {
  const { store, layers } = parts
  const copying = new Map<string, Promise<CopyRoot[]>>()
  const select = (step: Step<CopyNode>, task: Task<BuildEvent>): Promise<CopyRoot[]> => {
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
      const lookup = await layers.find(contentKey(step, await select(step, task)), base)
      if (lookup.kind === 'hit' && byStage !== undefined) layers.alias(byStage, lookup.result)
      return lookup
    },
    run: async (step, key, task): Promise<Executed> => {
      const base = step.input(step.node.base)
      await base.ensure(task)
      const view = store.layers.view(base.chainId)
      const entries = await placeCopies(view, await select(step, task), await copyRules(view, step.node))
      copying.delete(step.id)
      const layer = await store.layers.apply(base.chainId, packChangeset(entries, silent(task)), undefined, silent(task))
      const result = layers.record(key, layer, base)
      const byStage = stageKey(step)
      if (byStage !== undefined) layers.alias(byStage, result)
      return { result, usage: undefined }
    },
  }
}

async function selectSources(step: Step<CopyNode>, { store, context }: { store: Store; context: () => Promise<RootfsView> }, task: Task<BuildEvent>): Promise<CopyRoot[]> {
  const { from, sources } = step.node
  const view = from.kind === 'context' ? await context() : await stageView(step, store, task)
  const isContext = from.kind === 'context'
  const roots: CopyRoot[] = []
  for (const source of sources) {
    if (source.kind === 'inline') {
      roots.push(inlineRoot(source))
      continue
    }
    const selected = await readRoots(view, source.pattern)
    if (selected.length === 0 && !isPattern(source.pattern)) throw new CopySourceMissing(source.pattern, isContext ? 'the build context' : 'the source stage')
    roots.push(...selected)
    task.signal.throwIfAborted()
  }
  return roots
}

async function stageView(step: Step<CopyNode>, store: Store, task: Task<BuildEvent>): Promise<RootfsView> {
  const { from } = step.node
  const result = step.input(from.kind === 'node' ? from.node : undefined)
  await result.ensure(task)
  return store.layers.view(result.chainId)
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
    { name: 'base', value: input(node.base).chainId ?? '' },
    { name: 'destination', value: node.destination },
    { name: 'chown', value: JSON.stringify(node.chown ?? null) },
    { name: 'chmod', value: JSON.stringify(node.chmod ?? null) },
  ]
}

function stageKey(step: Step<CopyNode>): CacheKey | undefined {
  const { from, sources } = step.node
  if (from.kind === 'context') return undefined
  return cacheKey('copy by stage', [...definition(step), { name: 'stage', value: step.input(from.node).chainId ?? '' }, { name: 'sources', value: JSON.stringify(sources) }])
}

/** Times are left out: a fresh checkout of the same files is the same. */
function contentKey(step: Step<CopyNode>, roots: readonly CopyRoot[]): CacheKey {
  const files = roots.map((root, index): KeyPart => ({ name: `source ${index}`, value: rootDigest(root) }))
  return { ...cacheKey('copy', [...definition(step), ...files]), files: () => roots.flatMap(fileParts) }
}

function fileParts({ name, entries }: CopyRoot): KeyPart[] {
  return entries.map((copied) => ({ name: `file ${[name, copied.relative].filter(({ length }) => length > 0).map(String).join('/')}`, value: sha256(JSON.stringify(entryIdentity(copied))) }))
}
