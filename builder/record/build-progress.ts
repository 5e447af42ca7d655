import type { Digest } from '../../oci/digest.ts'
import type { TransferEvent } from '../../registry-client/index.ts'
import type { UsageReport } from '../../runtime/index.ts'
import type { BuildEvent, BuildFinished, NodeFinished } from '../events.ts'
import type { NodeId, StepLabel } from '../plan/plan.ts'

/** What is known of one step at a time; times are milliseconds since the epoch. */
export interface StepProgress {
  readonly node: NodeId
  readonly label: StepLabel
  readonly state: 'waiting' | 'running' | NodeFinished['outcome']
  readonly startedAtMs: number | undefined
  readonly endedAtMs: number | undefined
  readonly usage: UsageReport | undefined
}

export interface TransferProgress {
  readonly event: TransferEvent
  readonly startedAtMs: number
  readonly updatedAtMs: number
}

type Warning = Extract<BuildEvent, { type: 'warning-raised' }>
type StepChange = Partial<Omit<StepProgress, 'node' | 'label'>>

/** A build as its events have told it so far: whoever shows or keeps a build feeds one and reads from it. */
export class BuildProgress {
  readonly #steps = new Map<NodeId, StepProgress>()
  readonly #transfers = new Map<Digest, TransferProgress>()
  readonly #resolving = new Set<string>()
  readonly #now: () => number
  readonly warnings: Warning[] = []
  finished: BuildFinished | undefined

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** In the order of the plan. */
  get steps(): readonly StepProgress[] {
    return [...this.#steps.values()]
  }

  get transfers(): readonly TransferProgress[] {
    return [...this.#transfers.values()]
  }

  /** Names of base images that a registry is being asked about. */
  get resolving(): readonly string[] {
    return [...this.#resolving]
  }

  findStep(node: NodeId): StepProgress | undefined {
    return this.#steps.get(node)
  }

  handle(event: BuildEvent): void {
    switch (event.type) {
      case 'build-planned': return this.#plan(event.steps)
      case 'node-started': return this.#change(event.node, { state: 'running', startedAtMs: event.atMs })
      case 'node-finished': return this.#change(event.node, { state: event.outcome, endedAtMs: event.atMs, usage: event.usage })
      case 'image-resolving': return void this.#resolving.add(event.name)
      case 'image-resolved': return void this.#resolving.delete(event.name)
      case 'warning-raised': return void this.warnings.push(event)
      case 'transfer-progressed': return this.#transfer(event)
      case 'build-finished':
        this.finished = event
        return
      default: return
    }
  }

  #plan(steps: Extract<BuildEvent, { type: 'build-planned' }>['steps']): void {
    this.#resolving.clear()
    for (const { node, label } of steps) this.#steps.set(node, { node, label, state: 'waiting', startedAtMs: undefined, endedAtMs: undefined, usage: undefined })
  }

  #change(node: NodeId, change: StepChange): void {
    const step = this.#steps.get(node)
    if (step !== undefined) this.#steps.set(node, { ...step, ...change })
  }

  #transfer(event: TransferEvent): void {
    const now = this.#now()
    this.#transfers.set(event.digest, { event, startedAtMs: this.#transfers.get(event.digest)?.startedAtMs ?? now, updatedAtMs: now })
  }
}
