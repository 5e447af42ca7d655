import type { Task } from '../core/task.ts'
import { silent } from '../core/task.ts'
import type { Platform } from '../oci/platform.ts'
import { hostPlatform } from '../oci/platform.ts'
import type { BuildInputs } from './build-inputs.ts'
import { namedContexts } from './build-inputs.ts'
import { argInputs, checkDockerfile } from './call/check-dockerfile.ts'
import type { BuildContext } from './context/open-context.ts'
import { parseDockerfile } from './dockerfile/parse.ts'
import { ChecksFailed } from './errors.ts'
import type { BuildEvent } from './events.ts'
import type { BaseImages } from './plan/base-images.ts'
import type { LowerOptions } from './plan/lower.ts'
import { lower } from './plan/lower.ts'
import { mergePlans } from './plan/merge-plans.ts'
import type { BuildPlan } from './plan/plan.ts'

interface PlanningRequest extends Pick<BuildInputs, 'buildArgs' | 'contexts'> {
  readonly target?: string
}

interface PlanningParts {
  readonly context: Pick<BuildContext, 'dockerfile' | 'ignore'>
  readonly bases: BaseImages
  readonly platforms: readonly [Platform, ...Platform[]]
}

/** Reads the Dockerfile and plans what every platform needs as one. @throws {DockerfileError} @throws {ChecksFailed} */
export async function planBuild(request: PlanningRequest, { context, bases, platforms: [first, ...others] }: PlanningParts, task: Task<BuildEvent>): Promise<BuildPlan> {
  const common = {
    dockerfile: parseDockerfile(context.dockerfile),
    target: request.target,
    buildArgs: new Map(Object.entries(request.buildArgs ?? {})),
    buildPlatform: hostPlatform(process.arch),
    contexts: namedContexts(request),
  }
  const plan = (platform: Platform): Promise<BuildPlan> => lower({ ...common, platform }, bases)
  const plans: [BuildPlan, ...BuildPlan[]] = [await plan(first), ...await Promise.all(others.map(plan))]
  await raiseWarnings({ ...common, platform: first }, { context, bases }, task)
  return mergePlans(plans)
}

/** Checks what the target needs. @throws {ChecksFailed} when the Dockerfile wants its warnings to be errors */
async function raiseWarnings(planning: LowerOptions, { context, bases }: Pick<PlanningParts, 'context' | 'bases'>, task: Task<BuildEvent>): Promise<void> {
  const target = planning.target ?? String(planning.dockerfile.stages.length - 1)
  const { warnings } = await checkDockerfile({ ...planning, target, args: argInputs(planning), contexts: new Set(planning.contexts.keys()), ignore: context.ignore }, bases, silent(task))
  for (const { rule, message, range } of warnings) task.emit({ type: 'warning-raised', rule, message, range })
  const failed = warnings.filter(({ level }) => level === 'error')
  if (failed.length > 0) throw new ChecksFailed(planning.dockerfile.source, failed)
}
