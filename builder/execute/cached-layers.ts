import type { Layer, Store } from '../../storage/index.ts'
import type { CacheKey } from '../cache/cache-key.ts'
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

export function createCachedLayers(store: Store, options: { readonly now: () => Date }): CachedLayers {
  return {
    find: (key, base) => Promise.resolve(lookUp(store, key, base)),
    record: (key, layer, base) => {
      const payload: Payload = { created: options.now().toISOString(), parts: key.parts }
      store.cache.put({ key: key.digest, chainId: layer.chainId, payload: JSON.stringify(payload) })
      return resultOf(layer, base, payload.created)
    },
    partsOf: ({ digest }) => {
      const record = store.cache.find(digest)
      return record === undefined ? undefined : (JSON.parse(record.payload) as Payload).parts
    },
    alias: (key, { chainId, created }) => {
      if (chainId === undefined || created === undefined) return
      const payload: Payload = { created, parts: key.parts }
      store.cache.put({ key: key.digest, chainId, payload: JSON.stringify(payload) })
    },
  }
}

function lookUp(store: Store, key: CacheKey, base: NodeResult): Lookup {
  const record = store.cache.find(key.digest)
  const layer = record === undefined ? undefined : store.layers.find(record.chainId)
  if (record === undefined || layer === undefined) return { kind: 'miss', key }
  return { kind: 'hit', key, result: resultOf(layer, base, (JSON.parse(record.payload) as Payload).created) }
}

function resultOf(layer: Layer, base: NodeResult, created: string): NodeResult {
  return { chainId: layer.chainId, diffIds: [...base.diffIds, layer.diffId], created, ensure: () => Promise.resolve() }
}
