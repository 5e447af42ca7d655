import { silent } from '../core/task.ts'
import type { NetworkPool } from '../runtime/index.ts'
import { canLimit } from '../runtime/index.ts'
import type { RootfsView } from '../storage/index.ts'
import type { BuildBases } from './base-images.ts'
import { namedContexts } from './build-inputs.ts'
import type { BuildRequest, CheckedRequest } from './build-request.ts'
import { unsetConfinement } from './container/confinement.ts'
import type { ContextPaths } from './context/memory-context.ts'
import type { BuildContext } from './context/open-context.ts'
import { openNamedFolder } from './context/open-context.ts'
import type { OnFailure } from './debug/failed-step.ts'
import { describeFailure } from './debug/failed-step.ts'
import { usualCdiFolders } from './device/cdi-spec.ts'
import { proxyVariables } from './dockerfile/arg-scope.ts'
import type { StepPolicy } from './dockerfile/step-policy.ts'
import { noPolicy } from './dockerfile/step-policy.ts'
import type { Engine } from './engine.ts'
import type { CachedLayers } from './execute/cached-layers.ts'
import { createCopyExecutor } from './execute/copy.ts'
import type { Executors } from './execute/executor.ts'
import { createGitExecutor } from './execute/git.ts'
import { createHttpExecutor } from './execute/http.ts'
import { createMkdirExecutor } from './execute/mkdir.ts'
import { createPatientExecutor } from './execute/patient-executor.ts'
import type { RunParts } from './execute/run.ts'
import { createRunExecutor } from './execute/run.ts'
import { createSourceExecutor } from './execute/source.ts'
import type { SecretGuard } from './guard/secret-guard.ts'
import type { BuildPlan, NodeId } from './plan/plan.ts'
import type { BuildProgress } from './record/build-progress.ts'
import { toWireLabel } from './record/wire-event.ts'

/** No step of a build needs more processes at a time; a fork bomb ends here. */
const defaultPids = 4096

/** Of what lies on disk, with what belongs to this one build. */
export interface OwnRequest extends Omit<BuildRequest, 'context' | 'dockerfile' | keyof CheckedRequest>, CheckedRequest, ContextPaths {
  readonly guard: SecretGuard
  readonly build: string
  readonly startedAtMs: number
  readonly progress: BuildProgress
  readonly onFailure: OnFailure | undefined
}

interface ExecutorParts {
  readonly request: OwnRequest
  readonly context: BuildContext
  readonly bases: BuildBases
  readonly plan: BuildPlan
  readonly layers: CachedLayers
  readonly networks: NetworkPool
}

/** What makes the nodes of a plan, by kind. */
export function createExecutors({ store }: Engine, { request, context, bases, plan, layers, networks }: ExecutorParts): Executors {
  const policy = (node: NodeId): StepPolicy => plan.policies.get(node) ?? noPolicy
  const contexts = namedContexts(request)
  const folders = new Map([...contexts].flatMap(([name, named]) => named.kind === 'folder' ? [[name, openNamedFolder(named.path)] as const] : []))
  const openContextView = (name: string | undefined): Promise<RootfsView> => Promise.resolve(name === undefined ? context.view : folders.get(name) ?? context.view)
  return {
    source: createSourceExecutor((source, task) => bases.ensure(source, task)),
    mkdir: createMkdirExecutor({ store, layers }),
    copy: createCopyExecutor({ store, layers, guard: request.guard, context: openContextView }),
    http: createPatientExecutor(createHttpExecutor({ store, layers }), policy),
    git: createPatientExecutor(createGitExecutor({ store, layers }), policy),
    run: createRunExecutor({
      store,
      layers,
      guard: request.guard,
      settings: {
        ...unsetConfinement,
        ...request,
        limits: { ...(request.executor?.kind !== 'chroot' && canLimit('pids') ? { pids: defaultPids } : {}), ...request.limits },
        allowed: new Set(request.allow),
        hostname: request.hostname,
        cdiFolders: request.cdiFolders ?? usualCdiFolders,
        env: proxyVariables(new Map(Object.entries(request.buildArgs ?? {}))),
      },
      mounts: { store, layers, context: openContextView, secrets: request.secrets ?? {}, sshAgents: request.sshAgents ?? {} },
      policy,
      networks,
      onFailure: failureHandler(store, request, plan),
    }),
  }
}

function failureHandler(store: Engine['store'], { build: id, guard, onFailure }: OwnRequest, { labels }: BuildPlan): RunParts['onFailure'] {
  if (onFailure === undefined) return undefined
  return async ({ step, exit, ...rest }, task) => {
    const label = labels.get(step.id)
    const failed = { ...rest, build: id, label: label === undefined ? undefined : toWireLabel(label), exitCode: exit.exitCode, node: step.node, base: step.input(step.node.base) }
    await onFailure(describeFailure({ store, guard }, failed, silent(task)))
  }
}
