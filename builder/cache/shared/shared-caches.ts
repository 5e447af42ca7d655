import type { Task } from '../../../core/task.ts'
import { silent } from '../../../core/task.ts'
import type { Descriptor } from '../../../oci/descriptor.ts'
import type { ChainId } from '../../../oci/digest.ts'
import { chainId as computeChainId } from '../../../oci/digest.ts'
import type { Store } from '../../../storage/index.ts'
import type { Engine } from '../../engine.ts'
import { CacheSourceFailed, ResultNotKept } from './errors.ts'
import type { BuildEvent } from '../../events.ts'
import type { NodeResult } from '../../execute/executor.ts'
import type { SharedRecord } from './cache-config.ts'
import type { CacheSource, OpenedSource } from './cache-place.ts'
import { isTrouble } from './trouble.ts'
import { describePlace } from './cache-place.ts'
import { readSource } from './read-source.ts'

interface Shared {
  readonly record: SharedRecord
  readonly source: OpenedSource
}

/**
 * Results of steps that others made, by key. They are believed only because somebody named their place for this build; what
 * they hold is fetched when it is needed, and is then checked against digest and diffID.
 */
export class SharedCaches {
  readonly #store: Store
  readonly #found = new Map<string, Shared>()
  readonly #distrusted = new Set<string>()
  /** What results without a layer were said to be. */
  readonly #lacking = new Set<ChainId>()

  constructor(store: Store, sources: readonly OpenedSource[]) {
    this.#store = store
    for (const source of sources) {
      for (const record of source.records) {
        const known = this.#found.get(record.key)
        if (known === undefined || (known.record.blob === undefined && record.blob !== undefined)) this.#found.set(record.key, { record, source })
      }
    }
  }

  find(key: string, base: NodeResult): NodeResult | undefined {
    const shared = this.#found.get(key)
    if (shared === undefined) return undefined
    const { diffId, created } = shared.record
    const chainId = computeChainId(base.chainId, diffId)
    if (shared.record.blob === undefined) this.#lacking.add(chainId)
    let started: Promise<void> | undefined
    return {
      chainId,
      diffIds: [...base.diffIds, diffId],
      created,
      ensure: (task) => started ??= this.#bring(shared, base, task),
    }
  }

  /** The blob of a record as its source has it. */
  blobAt(key: string, place: CacheSource): Descriptor | undefined {
    const shared = this.#found.get(key)
    return shared !== undefined && describePlace(shared.source.place) === describePlace(place) ? shared.record.blob : undefined
  }

  /** Whether a result is known from elsewhere alone, and its layer is nowhere. */
  lacksLayer({ chainId }: NodeResult): boolean {
    return chainId !== undefined && this.#lacking.has(chainId) && this.#store.layers.find(chainId) === undefined
  }

  /** Forgets results whose layers are in no cache. @returns whether there were any */
  forgetLacking(): boolean {
    const keys = [...this.#found].filter(([, { record }]) => record.blob === undefined).map(([key]) => key)
    return keys.filter((key) => this.#found.delete(key)).length > 0
  }

  /** Forgets everything a source said. @returns whether anything was left of it */
  distrust(place: CacheSource): boolean {
    this.#distrusted.add(describePlace(place))
    const keys = [...this.#found].filter(([, { source }]) => source.place === place).map(([key]) => key)
    return keys.filter((key) => this.#found.delete(key)).length > 0
  }

  /** Whether something a place said turned out to be wrong. */
  isDistrusted(place: CacheSource): boolean {
    return this.#distrusted.has(describePlace(place))
  }

  async #bring({ record, source }: Shared, base: NodeResult, task: Task<BuildEvent>): Promise<void> {
    await base.ensure(task)
    const { blob, diffId, created } = record
    const chainId = computeChainId(base.chainId, diffId)
    if (blob === undefined) {
      if (this.#store.layers.find(chainId) === undefined) throw new ResultNotKept(describePlace(source.place))
      return
    }
    try {
      if (this.#store.layers.find(chainId) === undefined) await this.#store.ingestLayer({ parent: base.chainId, blob, bytes: this.#read(blob, source, task), diffId }, silent(task))
      this.#store.cache.put({ key: record.key, chainId, payload: JSON.stringify({ created: created ?? new Date().toISOString(), parts: [] }) })
    } catch (error) {
      task.signal.throwIfAborted()
      throw new CacheSourceFailed(source.place, describePlace(source.place), error)
    }
  }

  #read(blob: Descriptor, { open }: OpenedSource, task: Task<BuildEvent>): AsyncIterable<Uint8Array> {
    return this.#store.content.find(blob.digest) === undefined ? open(blob, task) : this.#store.content.read(blob, silent(task))
  }
}

/** Reads the caches named, at the same time; one that cannot be read is told in a warning and left out. */
export async function openSharedCaches(engine: Engine, sources: readonly CacheSource[], task: Task<BuildEvent>): Promise<SharedCaches> {
  const opened = await Promise.all(sources.map(async (source) => {
    try {
      return await readSource(engine, source, task)
    } catch (error) {
      if (!isTrouble(error)) throw error
      warnOfCache(source, error, task)
      return undefined
    }
  }))
  return new SharedCaches(engine.store, opened.filter((source) => source !== undefined))
}

export function warnOfCache(source: CacheSource, error: Error, task: Task<BuildEvent>): void {
  task.emit({ type: 'warning-raised', rule: 'cache-from', message: `going on without the cache "${describePlace(source)}": ${error.message}`, range: undefined })
}
