import type { Layer, Store } from '../../storage/index.ts'
import type { ChainId } from '../../oci/digest.ts'
import type { CacheKey } from '../cache/cache-key.ts'
import type { SharedCaches } from '../cache/shared/shared-caches.ts'
import type { Lookup, NodeResult } from './executor.ts'

/** What is kept with a cache entry beside its layer. */
interface Payload {
  /** RFC 3339: when the step was first run, for the history of every image that reuses it. */
  readonly created: string
  readonly parts: CacheKey['parts']
}

/** Results of steps by key. */
export interface CachedLayers {
  find(key: CacheKey, base: NodeResult): Promise<Lookup>
  /** Remembers a layer made on top of `base`. */
  record(key: CacheKey, layer: Layer, base: NodeResult): NodeResult
  /** What was kept with the entry of a key, to explain it. */
  partsOf(key: CacheKey): CacheKey['parts'] | undefined
  /** Lets a second key find what was found or recorded under another. */
  alias(key: CacheKey, result: NodeResult): void
}

export interface CachedLayersOptions {
  readonly now: () => Date
  readonly shared: SharedCaches
  /** Gets every key that found or recorded something, with its result. */
  readonly used: Map<string, NodeResult>
}

export function createCachedLayers(store: Store, { now, shared, used }: CachedLayersOptions): CachedLayers {
  const put = (key: CacheKey, chainId: ChainId, created: string): void => {
    const payload: Payload = { created, parts: key.parts }
    store.cache.put({ key: key.digest, chainId, payload: JSON.stringify(payload) })
  }
  return {
    find: (key, base) => {
      const result = lookUp(store, key, base) ?? shared.find(key.digest, base)
      if (result === undefined) return Promise.resolve({ kind: 'miss', key })
      used.set(key.digest, result)
      return Promise.resolve({ kind: 'hit', key, result })
    },
    record: (key, layer, base) => {
      const created = now().toISOString()
      put(key, layer.chainId, created)
      const result = resultOf(layer, base, created)
      used.set(key.digest, result)
      return result
    },
    partsOf: ({ digest }) => {
      const record = store.cache.find(digest)
      return record === undefined ? undefined : (JSON.parse(record.payload) as Payload).parts
    },
    alias: (key, result) => {
      const { chainId, created } = result
      used.set(key.digest, result)
      // What is only promised so far is recorded when it is there.
      if (chainId !== undefined && created !== undefined && store.layers.find(chainId) !== undefined) put(key, chainId, created)
    },
  }
}

function lookUp(store: Store, key: CacheKey, base: NodeResult): NodeResult | undefined {
  const record = store.cache.find(key.digest)
  const layer = record === undefined ? undefined : store.layers.find(record.chainId)
  return record === undefined || layer === undefined ? undefined : resultOf(layer, base, (JSON.parse(record.payload) as Payload).created)
}

function resultOf(layer: Layer, base: NodeResult, created: string): NodeResult {
  return { chainId: layer.chainId, diffIds: [...base.diffIds, layer.diffId], created, ensure: () => Promise.resolve() }
}
