import type { Task } from '../../core/task.ts'
import { createTask } from '../../core/task.ts'
import type { Store } from '../../storage/index.ts'
import type { CacheKey } from './cache-key.ts'

/** The right to run a step, while every other process that comes to the same step waits. */
export interface Claim {
  /** Its result is recorded: the claim ends when other processes can find it. */
  keep(): void
  /** Ends the claim at once, unless it is kept. */
  release(): void
}

/** How long results may stay unknown to other processes; a build shorter than this pays for publishing once, at its end. */
const publishAfterMs = 200

/** Digits of a key that choose its lock: lock files are never deleted, so there may not be one for every key. */
const lockDigits = 3

interface Held {
  readonly lock: Promise<AsyncDisposable>
  holders: number
}

/**
 * Keeps processes that share a store from doing the same step twice. Two keys may share a lock, which costs a wait and
 * nothing else; steps of one build never wait for each other. Who holds a claim waits for no other claim, and gives kept
 * ones back after a while whatever it does, so nobody waits in a circle.
 */
export class StepClaims implements AsyncDisposable {
  readonly #store: Store
  readonly #held = new Map<string, Held>()
  #kept: string[] = []
  #publishing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** Waits while another process holds the step. */
  async take(key: CacheKey, task: Task): Promise<Claim> {
    const name = `step ${key.digest.slice(-lockDigits)}`
    const held = this.#held.get(name) ?? { lock: this.#store.lock(name, { exclusive: true }, task), holders: 0 }
    this.#held.set(name, held)
    held.holders += 1
    try {
      await held.lock
    } catch (error) {
      this.#held.delete(name)
      throw error
    }
    let isOpen = true
    return {
      keep: () => {
        if (!isOpen) return
        isOpen = false
        this.#kept.push(name)
        this.#timer ??= setTimeout(() => { this.#publishSoon() }, publishAfterMs).unref()
      },
      release: () => {
        if (isOpen) void this.#giveBack(name)
        isOpen = false
      },
    }
  }

  /** Publishes what is recorded and gives every claim back. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    await this.#publishing
    await this.#publish()
  }

  #publishSoon(): void {
    this.#timer = undefined
    // A failed write stays failed: the build's own sync meets and reports it.
    this.#publishing = this.#publish().catch(() => undefined)
  }

  async #publish(): Promise<void> {
    const names = this.#kept
    this.#kept = []
    if (names.length === 0) return
    try {
      await this.#store.layers.sync(createTask<never>())
    } finally {
      await Promise.all(names.map((name) => this.#giveBack(name)))
    }
  }

  async #giveBack(name: string): Promise<void> {
    const held = this.#held.get(name)
    if (held === undefined) return
    held.holders -= 1
    if (held.holders > 0) return
    this.#held.delete(name)
    await (await held.lock)[Symbol.asyncDispose]()
  }
}
