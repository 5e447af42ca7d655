import { Canceled } from '../core/errors.ts'
import type { Limit } from '../core/limit.ts'
import { allOrNone, createLimit } from '../core/limit.ts'
import type { Task } from '../core/task.ts'
import type { CacheKey } from './cache/cache-key.ts'
import type { StepClaims } from './cache/step-claims.ts'
import { StepFailed } from './errors.ts'
import type { BuildEvent, NodeFinished } from './events.ts'
import type { Executors, Hit, Lookup, NodeResult, Step } from './execute/executor.ts'
import { emptyResult, findStep, runStep } from './execute/executor.ts'
import type { BuildPlan, NodeId } from './plan/plan.ts'
import { nodeInputs } from './plan/plan.ts'

export interface SolveOptions {
  readonly plan: BuildPlan
  readonly executors: Executors
  /** Steps that run at the same time. */
  readonly jobs: number
  readonly cache: StepCache
}

/** How steps use what is known of earlier builds. */
export interface StepCache {
  readonly claims: StepClaims
  /** Whether the step is to be run although its result may be known. */
  readonly isOff: (id: NodeId) => boolean
  /** A step is about to be run under this key. */
  readonly missed: (id: NodeId, key: CacheKey) => void
  /** Its result was known. */
  readonly found: (id: NodeId, key: CacheKey, result: NodeResult) => void
  /** It was run. */
  readonly made: (id: NodeId, key: CacheKey, result: NodeResult) => void
}

export interface Solved {
  /** One for each of the plan's targets. */
  readonly rootfses: readonly NodeResult[]
  /** Of every node it needed. */
  readonly results: ReadonlyMap<NodeId, NodeResult>
}

/**
 * Makes the root filesystems of the plan's targets: every node they need once, independent ones at the same time, cached
 * ones not at all. The first failure stops the others, whose end is awaited before it is thrown.
 * @throws {StepFailed} with the reason as its cause
 */
export async function solve(options: SolveOptions, task: Task<BuildEvent>): Promise<Solved> {
  const solver = new Solver(options, task)
  try {
    const wanted = options.plan.targets.map(({ rootfs }) => rootfs === undefined ? Promise.resolve(emptyResult) : solver.get(rootfs))
    return { rootfses: await allOrNone(wanted, solver.cancel), results: solver.settled }
  } catch (error) {
    task.signal.throwIfAborted()
    throw error
  }
}

class Solver {
  readonly #plan: BuildPlan
  readonly #executors: Executors
  readonly #cache: StepCache
  readonly #task: Task<BuildEvent>
  readonly #limit: Limit
  readonly #stop = new AbortController()
  readonly #results = new Map<NodeId, Promise<NodeResult>>()
  readonly settled = new Map<NodeId, NodeResult>()

  constructor({ plan, executors, jobs, cache }: SolveOptions, task: Task<BuildEvent>) {
    this.#plan = plan
    this.#executors = executors
    this.#cache = cache
    this.#task = { signal: AbortSignal.any([task.signal, this.#stop.signal]), emit: task.emit }
    this.#limit = createLimit(jobs, this.#task.signal)
  }

  get(id: NodeId): Promise<NodeResult> {
    const found = this.#results.get(id)
    if (found !== undefined) return found
    const started = this.#solve(id)
    this.#results.set(id, started)
    return started
  }

  async #solve(id: NodeId): Promise<NodeResult> {
    const node = this.#plan.nodes.get(id)
    if (node === undefined) throw new TypeError(`node ${id} is not in the plan`)
    const inputIds = nodeInputs(node)
    const results = await allOrNone(inputIds.map((input) => this.get(input)), this.cancel)
    const inputs = new Map(inputIds.map((input, index) => [input, results[index] ?? emptyResult]))
    const result = await this.#execute({ id, node, input: (input) => inputOf(inputs, input) })
    this.settled.set(id, result)
    return result
  }

  async #execute(step: Step): Promise<NodeResult> {
    this.#task.signal.throwIfAborted()
    try {
      const lookup = await this.#find(step)
      return lookup.kind === 'hit' ? this.#reuse(step, lookup) : await this.#limit(() => this.#make(step, lookup.key))
    } catch (error) {
      this.#finish(step.id, this.#task.signal.aborted ? 'canceled' : 'failed')
      const label = this.#plan.labels.get(step.id)
      const failure = label === undefined || error instanceof StepFailed || error instanceof Canceled ? error : new StepFailed(label, error)
      this.cancel(failure)
      throw failure
    }
  }

  async #find(step: Step): Promise<Lookup> {
    const lookup = await findStep(this.#executors, step, this.#task)
    return lookup.kind === 'hit' && this.#isOff(step) ? { kind: 'miss', key: lookup.key } : lookup
  }

  /** An image that exists is what it is. */
  #isOff({ id, node }: Step): boolean {
    return node.kind !== 'source' && this.#cache.isOff(id)
  }

  /** Runs the step, unless another process does: then its result is waited for. */
  async #make(step: Step, key: CacheKey): Promise<NodeResult> {
    if (this.#isOff(step)) return this.#run(step, key)
    const claim = await this.#cache.claims.take(key, this.#task)
    try {
      const again = await findStep(this.#executors, step, this.#task)
      if (again.kind === 'hit') return this.#reuse(step, again)
      const result = await this.#run(step, key)
      claim.keep()
      return result
    } finally {
      claim.release()
    }
  }

  async #run(step: Step, key: CacheKey): Promise<NodeResult> {
    this.#start(step.id)
    this.#cache.missed(step.id, key)
    const { result, usage } = await runStep(this.#executors, { step, key }, this.#task)
    this.#cache.made(step.id, key, result)
    this.#finish(step.id, 'executed', usage)
    return result
  }

  #reuse(step: Step, { key, result }: Hit): NodeResult {
    this.#start(step.id)
    if (step.node.kind !== 'source') this.#cache.found(step.id, key, result)
    const { rebasedFrom } = result
    if (rebasedFrom !== undefined && 'base' in step.node) this.#task.emit({ type: 'layer-rebased', node: step.id, before: rebasedFrom, after: step.input(step.node.base).chainId ?? 'nothing' })
    this.#finish(step.id, 'cached')
    return result
  }

  readonly cancel = (reason: unknown): void => {
    if (!this.#stop.signal.aborted) this.#stop.abort(new Canceled('sibling-failed', { cause: reason }))
  }

  #start(node: NodeId): void {
    this.#task.emit({ type: 'node-started', node, atMs: Date.now() })
  }

  #finish(node: NodeId, outcome: NodeFinished['outcome'], usage?: NodeFinished['usage']): void {
    this.#task.emit({ type: 'node-finished', node, outcome, atMs: Date.now(), usage })
  }
}

function inputOf(inputs: ReadonlyMap<NodeId, NodeResult>, id: NodeId | undefined): NodeResult {
  if (id === undefined) return emptyResult
  const result = inputs.get(id)
  if (result === undefined) throw new TypeError(`node ${id} is no input of this step`)
  return result
}
