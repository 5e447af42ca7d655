import { formatPlatform } from '../../oci/platform.ts'
import type { StepPolicy } from '../dockerfile/step-policy.ts'
import type { BuildPlan, NodeId, StepLabel } from './plan.ts'

/** One plan for the images of several platforms. What they share is done once; the other steps say which one they are for. */
export function mergePlans([first, ...others]: readonly [BuildPlan, ...BuildPlan[]]): BuildPlan {
  if (others.length === 0) return first
  const plans = [first, ...others]
  const labels = new Map<NodeId, StepLabel>()
  const policies = new Map<NodeId, StepPolicy>()
  for (const plan of plans) {
    for (const [id, label] of plan.labels) {
      const isShared = plans.every((other) => other.labels.has(id))
      if (!labels.has(id)) labels.set(id, isShared ? label : { ...label, stage: `${formatPlatform(plan.targets[0].platform)} ${label.stage}` })
    }
    for (const [id, policy] of plan.policies) policies.set(id, policy)
  }
  return {
    nodes: new Map(plans.flatMap(({ nodes }) => [...nodes])),
    labels,
    policies,
    variablesOfArgs: new Map(plans.flatMap(({ variablesOfArgs }) => [...variablesOfArgs])),
    targets: [first.targets[0], ...others.map(({ targets: [target] }) => target)],
  }
}
