import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Layer, Store } from '../../storage/index.ts'
import type { ChainId } from '../../oci/digest.ts'
import { chainId as computeChainId } from '../../oci/digest.ts'
import type { CacheKey } from '../cache/cache-key.ts'
import type { SharedCaches } from '../cache/shared/shared-caches.ts'
import type { BuildEvent } from '../events.ts'
import type { Lookup, NodeResult } from './executor.ts'

/** What is kept with a cache entry beside its layer. */
interface Payload {
  /** RFC 3339: when the step was first run, for the history of every image that reuses it. */
  readonly created: string
  readonly parts: CacheKey['parts']
  /** The digest of the key that this one is an alias of. */
  readonly of?: string
}

/** Results of steps by key. What a key without its base found, made on another one, is laid on the base of now. */
export interface CachedLayers {
  find(key: CacheKey, base: NodeResult): Promise<Lookup>
  /** Remembers a layer made on top of `base`. */
  record(key: CacheKey, layer: Layer, base: NodeResult): NodeResult
  /** What was kept with the entry of a key, to explain it. */
  partsOf(key: CacheKey): CacheKey['parts'] | undefined
  /** Lets a second key find what was found or recorded under another. Who finds it by the second passes the other on as well. */
  alias(key: CacheKey, of: CacheKey, result: NodeResult): void
}

export interface CachedLayersOptions {
  readonly now: () => Date
  readonly shared: SharedCaches
  /** Gets every key that found or recorded something, with its result. */
  readonly used: Map<string, NodeResult>
}

export function createCachedLayers(store: Store, { now, shared, used }: CachedLayersOptions): CachedLayers {
  const put = (key: CacheKey, chainId: ChainId, { created, of }: { readonly created: string; readonly of?: string | undefined }): void => {
    const payload: Payload = { created, parts: key.parts, ...of === undefined ? {} : { of } }
    store.cache.put({ key: key.digest, chainId, payload: JSON.stringify(payload) })
  }
  return {
    find: (key, base) => {
      const local = lookUp(store, { key, base, put })
      const result = local?.result ?? shared.find(key.digest, base)
      if (result === undefined) return Promise.resolve({ kind: 'miss', key })
      used.set(key.digest, result)
      if (local?.of !== undefined) used.set(local.of, result)
      return Promise.resolve({ kind: 'hit', key, result })
    },
    record: (key, layer, base) => {
      const created = now().toISOString()
      put(key, layer.chainId, { created })
      const result = resultOf(layer, base, created)
      used.set(key.digest, result)
      return result
    },
    partsOf: ({ digest }) => {
      const record = store.cache.find(digest)
      return record === undefined ? undefined : (JSON.parse(record.payload) as Payload).parts
    },
    alias: (key, of, result) => {
      const { chainId, created } = result
      used.set(key.digest, result)
      // What is only promised so far is recorded when it is there.
      if (chainId !== undefined && created !== undefined && store.layers.find(chainId) !== undefined) put(key, chainId, { created, of: of.digest })
    },
  }
}

interface Wanted {
  readonly key: CacheKey
  readonly base: NodeResult
  readonly put: (key: CacheKey, chainId: ChainId, said: { readonly created: string; readonly of: string | undefined }) => void
}

function lookUp(store: Store, { key, base, put }: Wanted): { readonly result: NodeResult; readonly of: string | undefined } | undefined {
  const record = store.cache.find(key.digest)
  const layer = record === undefined ? undefined : store.layers.find(record.chainId)
  if (record === undefined || layer === undefined) return undefined
  const { created, of } = JSON.parse(record.payload) as Payload
  if (layer.parent === base.chainId) return { result: resultOf(layer, base, created), of }
  const chainId = computeChainId(base.chainId, layer.diffId)
  const there = store.layers.find(chainId)
  if (there !== undefined) return { result: resultOf(there, base, created), of }
  let started: Promise<void> | undefined
  const bring = async (task: Task<BuildEvent>): Promise<void> => {
    await base.ensure(task)
    await store.layers.apply(base.chainId, store.layers.changeset(layer.chainId, silent(task)), layer.diffId, silent(task))
    put(key, chainId, { created, of })
  }
  return { of, result: { chainId, diffIds: [...base.diffIds, layer.diffId], created, rebasedFrom: layer.parent ?? 'nothing', ensure: (task) => started ??= bring(task) } }
}

function resultOf(layer: Layer, base: NodeResult, created: string): NodeResult {
  return { chainId: layer.chainId, diffIds: [...base.diffIds, layer.diffId], created, ensure: () => Promise.resolve() }
}
