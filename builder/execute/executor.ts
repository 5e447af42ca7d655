import type { Task } from '../../core/task.ts'
import type { ChainId, DiffId } from '../../oci/digest.ts'
import type { UsageReport } from '../../runtime/index.ts'
import type { CacheKey } from '../cache/cache-key.ts'
import type { BuildEvent } from '../events.ts'
import type { NodeId, PlanNode } from '../plan/plan.ts'
import { nodeId } from '../plan/plan.ts'

/** The root filesystem a node made. */
export interface NodeResult {
  /** undefined is the empty filesystem. */
  readonly chainId: ChainId | undefined
  /** Bottom first. */
  readonly diffIds: readonly DiffId[]
  /** When its last layer was first made, RFC 3339; undefined when nobody said. */
  readonly created: string | undefined
  /** The base its last layer was made on, where that is another than it lies on here. */
  readonly rebasedFrom?: ChainId | 'nothing'
  /** Brings the layers into the store, if only their names are known so far. */
  readonly ensure: (task: Task<BuildEvent>) => Promise<void>
}

export const emptyResult: NodeResult = { chainId: undefined, diffIds: [], created: undefined, ensure: () => Promise.resolve() }

/** A node about to be solved, with the results of its inputs. */
export interface Step<N extends PlanNode = PlanNode> {
  readonly id: NodeId
  readonly node: N
  /** The result of one of the node's inputs; that of undefined is empty. */
  readonly input: (id: NodeId | undefined) => NodeResult
}

export interface Hit {
  readonly kind: 'hit'
  readonly key: CacheKey
  readonly result: NodeResult
}

export type Lookup =
  | Hit
  | { readonly kind: 'miss'; readonly key: CacheKey }

export interface Executed {
  readonly result: NodeResult
  readonly usage: UsageReport | undefined
}

/** How nodes of one kind are looked up and run. */
export interface Executor<N extends PlanNode> {
  find(step: Step<N>, task: Task<BuildEvent>): Promise<Lookup>
  run(step: Step<N>, key: CacheKey, task: Task<BuildEvent>): Promise<Executed>
}

/** A kind of node without an executor does not compile. */
export type Executors = { readonly [K in PlanNode['kind']]: Executor<Extract<PlanNode, { kind: K }>> }

export function findStep(executors: Executors, step: Step, task: Task<BuildEvent>): Promise<Lookup> {
  const { node } = step
  switch (node.kind) {
    case 'source': return executors.source.find({ ...step, node }, task)
    case 'mkdir': return executors.mkdir.find({ ...step, node }, task)
    case 'copy': return executors.copy.find({ ...step, node }, task)
    case 'run': return executors.run.find({ ...step, node }, task)
    case 'http': return executors.http.find({ ...step, node }, task)
    case 'git': return executors.git.find({ ...step, node }, task)
  }
}

export function runStep(executors: Executors, { step, key }: { step: Step; key: CacheKey }, task: Task<BuildEvent>): Promise<Executed> {
  const { node } = step
  switch (node.kind) {
    case 'source': return executors.source.run({ ...step, node }, key, task)
    case 'mkdir': return executors.mkdir.run({ ...step, node }, key, task)
    case 'copy': return executors.copy.run({ ...step, node }, key, task)
    case 'run': return executors.run.run({ ...step, node }, key, task)
    case 'http': return executors.http.run({ ...step, node }, key, task)
    case 'git': return executors.git.run({ ...step, node }, key, task)
  }
}

/** A node without inputs, looked up or run outside a plan. */
export async function runAlone<N extends PlanNode>(executor: Executor<N>, node: N, task: Task<BuildEvent>): Promise<NodeResult> {
  const step: Step<N> = { id: nodeId(node), node, input: () => emptyResult }
  const lookup = await executor.find(step, task)
  return lookup.kind === 'hit' ? lookup.result : (await executor.run(step, lookup.key, task)).result
}
