import type { Task } from '../../core/task.ts'
import type { Store } from '../../storage/index.ts'
import type { BuildEvent } from '../events.ts'
import type { BuildPlan, NodeId } from '../plan/plan.ts'
import { isOfStage } from '../plan/plan.ts'
import type { StepCache } from '../solve.ts'
import { MissExplainer } from './miss-explainer.ts'
import type { StepClaims } from './step-claims.ts'

interface StepCacheParts {
  readonly plan: BuildPlan
  /** Which Dockerfile this is, so that its next build can be compared with this one. */
  readonly place: string
  /** Everything, or the stages of these names. */
  readonly noCache: boolean | readonly string[] | undefined
  readonly claims: StepClaims
}

export function createStepCache(store: Store, { plan, place, noCache, claims }: StepCacheParts, task: Task<BuildEvent>): StepCache {
  const explainer = new MissExplainer({ store, place, plan })
  const off = stepsWithoutCache(plan, noCache)
  if (typeof noCache === 'object') warnOfUnknownStages(noCache, plan, task)
  return {
    claims,
    isOff: (id) => off.has(id),
    missed: (node, key) => { task.emit({ type: 'cache-missed', node, cause: off.has(node) ? { kind: 'cache-off' } : explainer.explain(node, key) }) },
    found: (node, key, { chainId }) => { explainer.adopt(node, key, chainId) },
    made: (node, key, { chainId }) => { explainer.remember(node, key, chainId) },
  }
}

function warnOfUnknownStages(names: readonly string[], { labels }: BuildPlan, task: Task<BuildEvent>): void {
  for (const name of names.filter((stage) => ![...labels.values()].some((label) => isOfStage(label, stage)))) {
    task.emit({ type: 'warning-raised', rule: 'no-cache-filter', message: `this build has no steps of a stage "${name}"`, range: undefined })
  }
}

function stepsWithoutCache({ nodes, labels, policies }: BuildPlan, noCache: StepCacheParts['noCache']): ReadonlySet<NodeId> {
  if (noCache === true) return new Set(nodes.keys())
  const filter = typeof noCache === 'object' ? noCache : []
  const filtered = [...labels].filter(([, label]) => filter.some((name) => isOfStage(label, name))).map(([id]) => id)
  return new Set([...filtered, ...[...policies].filter(([, { cache }]) => cache === false).map(([id]) => id)])
}
