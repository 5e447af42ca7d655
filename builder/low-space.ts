import type { Task } from '../core/task.ts'
import type { LowSpace, Store } from '../storage/index.ts'
import { findLowSpace, readSpace } from '../storage/index.ts'
import type { BuildEvent } from './events.ts'

/** Warns when bytes or inodes of the store's filesystem run low, of each once: builds that would fail tomorrow still succeed today. */
export class SpaceWatch {
  readonly #store: Store
  readonly #task: Task<BuildEvent>
  readonly #warned = new Set<LowSpace['resource']>()

  constructor(store: Store, task: Task<BuildEvent>) {
    this.#store = store
    this.#task = task
  }

  check(): void {
    for (const low of findLowSpace(readSpace(this.#store.root))) {
      if (this.#warned.has(low.resource)) continue
      this.#warned.add(low.resource)
      this.#task.emit({ type: 'warning-raised', rule: 'LowDiskSpace', message: describe(this.#store.root, low), range: undefined })
    }
  }
}

function describe(root: string, { resource, free, total }: LowSpace): string {
  return `only ${free} of ${total} ${resource} (${(free / total * 100).toFixed(1)}%) are free where "${root}" is: "tsbuild df" shows who holds them, "tsbuild gc --min-free-${resource} 10%" frees what was not used for longest`
}
