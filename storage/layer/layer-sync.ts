import type { Task } from '../../core/task.ts'
import { createTask } from '../../core/task.ts'
import type { CacheEntries } from '../records/cache-entries.ts'
import type { Layout } from '../root/layout.ts'
import { explainFull } from '../root/explain-full.ts'
import type { Session } from '../root/session.ts'
import { syncPath } from '../root/sync-path.ts'
import { syncFilesystem, syncTrees } from '../tree/upkeep-trees.ts'
import type { LayerRecords } from './layer-records.ts'
import type { StoredLayer } from './stored-layer.ts'
import { layerPaths } from './stored-layer.ts'

/** Up to this many inodes each file is flushed on its own, beyond that everything the filesystem has not written yet. */
const maxInodesOneByOne = 128

/** Makes layers durable and records them, and what refers to them, together. Calls that come while one runs share the next. */
export class LayerSync {
  readonly #layout: Layout
  readonly #session: Session
  readonly #records: LayerRecords
  readonly #cache: CacheEntries
  #running: { readonly layers: readonly StoredLayer[]; readonly ended: Promise<void> } | undefined
  #next: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(parts: { readonly layout: Layout; readonly session: Session; readonly records: LayerRecords; readonly cache: CacheEntries }) {
    this.#layout = parts.layout
    this.#session = parts.session
    this.#records = parts.records
    this.#cache = parts.cache
  }

  /** Abort ends the wait, not the work, which others may wait for. */
  async run(task: Task): Promise<void> {
    await this.#join()
    task.signal.throwIfAborted()
  }

  #join(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    const running = this.#running
    const isCovered = !this.#cache.hasUnrecorded() && this.#records.unrecorded().every((layer) => running.layers.includes(layer))
    if (isCovered) return running.ended
    this.#next ??= running.ended.catch(() => undefined).then(() => {
      this.#next = undefined
      return this.#start()
    })
    return this.#next
  }

  #start(): Promise<void> {
    const layers = this.#records.unrecorded()
    if (layers.length === 0 && !this.#cache.hasUnrecorded()) return Promise.resolve()
    const ended = this.#flushAndRecord(layers).finally(() => { this.#running = undefined })
    this.#running = { layers, ended }
    return ended
  }

  async #flushAndRecord(layers: readonly StoredLayer[]): Promise<void> {
    // The kernel reports a failed write-back once: trying again would look like success.
    if (this.#failure !== undefined) throw this.#failure.error
    try {
      await this.#flush(layers.filter((layer) => layer.dir !== undefined))
    } catch (error) {
      this.#failure = { error }
      throw error
    }
    this.#session.transaction('durable', () => {
      this.#records.record(layers)
      this.#cache.record()
    })
    this.#records.markRecorded(layers)
    this.#cache.markRecorded()
  }

  async #flush(layers: readonly StoredLayer[]): Promise<void> {
    if (layers.length === 0) return
    const task = createTask<never>()
    const inodes = layers.reduce((sum, layer) => sum + layer.inodes, 0)
    if (inodes > maxInodesOneByOne) return syncFilesystem(this.#layout.root, task)
    const paths = (isIndexed: boolean): string[] => layers.filter(({ origin }) => (origin === 'indexed') === isIndexed).flatMap((layer) => layerPaths(this.#layout, layer))
    await Promise.all([syncTrees(this.#layout.root, paths(false), task), ...paths(true).map((path) => this.#flushFile(path))])
    await syncPath(this.#layout.layers)
  }

  async #flushFile(path: string): Promise<void> {
    try {
      await syncPath(path)
    } catch (error) {
      throw explainFull(this.#layout.root, error)
    }
  }
}
