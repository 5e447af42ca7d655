import { availableParallelism } from 'node:os'
import type { Task, TaskOptions } from '../core/task.ts'
import { createTask, silent } from '../core/task.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import { hostPlatform } from '../oci/platform.ts'
import type { RootfsView } from '../storage/index.ts'
import { BuildBases } from './base-images.ts'
import type { PullMode } from './base-images.ts'
import type { Confinement } from './container/confinement.ts'
import { unsetConfinement } from './container/confinement.ts'
import { openContext } from './context/open-context.ts'
import type { BuildContext } from './context/open-context.ts'
import { proxyVariables } from './dockerfile/arg-scope.ts'
import { parseDockerfile } from './dockerfile/parse.ts'
import { noPolicy } from './dockerfile/step-policy.ts'
import type { Engine } from './engine.ts'
import { openEngine } from './engine.ts'
import type { Entitlement } from './errors.ts'
import type { BuildEvent } from './events.ts'
import { createCachedLayers } from './execute/cached-layers.ts'
import { createCopyExecutor } from './execute/copy.ts'
import type { Executors } from './execute/executor.ts'
import { createMkdirExecutor } from './execute/mkdir.ts'
import { createRunExecutor } from './execute/run.ts'
import { createSourceExecutor } from './execute/source.ts'
import { exportImage } from './export/image.ts'
import { canonicalName } from './find-image.ts'
import type { SecretSource } from './mount/mount-parts.ts'
import { lower } from './plan/lower.ts'
import type { BuildPlan } from './plan/plan.ts'
import { solve } from './solve.ts'

export interface BuildRequest extends Partial<Confinement> {
  /** A folder. */
  readonly context: string
  /** Path of the Dockerfile; default `Dockerfile` in the context. */
  readonly dockerfile?: string
  /** Names for the image. */
  readonly names?: readonly string[]
  readonly target?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly platform?: Platform
  /** Runs every step, whether or not its result is known. */
  readonly noCache?: boolean
  readonly pull?: PullMode
  /** What RUN --mount=type=secret gives to steps, by id. */
  readonly secrets?: Readonly<Record<string, SecretSource>>
  /** The sockets of agents for RUN --mount=type=ssh, by id. */
  readonly sshAgents?: Readonly<Record<string, string>>
  /** What steps may ask for beyond the ordinary. */
  readonly allow?: readonly Entitlement[]
  /** Steps at the same time; default 8, or the number of processors. */
  readonly jobs?: number
}

/** No step of a build needs more processes at a time; a fork bomb ends here. */
const defaultPids = 4096

/** Steps wait more than they compute: for the network, for the disk. */
const defaultJobs = 8

export interface BuildResult {
  readonly id: Digest
  readonly names: readonly string[]
}

/**
 * Builds an image and gives it its names. With an engine of the caller's many builds can share one; without one the
 * default store is opened and closed.
 * @throws {DockerfileError} @throws {StepFailed} @throws {ContextUnreadable}
 */
export async function build(request: BuildRequest, options: TaskOptions<BuildEvent> & { readonly engine?: Engine } = {}): Promise<BuildResult> {
  const task = createTask(options)
  if (options.engine !== undefined) return buildWith(options.engine, request, task)
  await using engine = await openEngine()
  return await buildWith(engine, request, task)
}

async function buildWith(engine: Engine, request: BuildRequest, task: Task<BuildEvent>): Promise<BuildResult> {
  const names = (request.names ?? []).map(canonicalName)
  const context = openContext(request)
  const bases = new BuildBases(engine, { pull: request.pull ?? 'missing', task })
  const plan = await createPlan(request, context, bases)
  task.emit({ type: 'build-planned', steps: [...plan.labels].map(([node, label]) => ({ node, label })) })
  const executors = createExecutors(engine, { request, context, bases, plan })
  const { rootfs, results } = await solve({ plan, executors, jobs: request.jobs ?? Math.max(defaultJobs, availableParallelism()) }, task)
  await rootfs.ensure(task)
  await engine.store.layers.sync(silent(task))
  const image = await exportImage(engine.store, { planned: labeled(plan.target, request.labels), rootfs, results }, names)
  task.emit({ type: 'image-exported', id: image.id, names, atMs: Date.now() })
  return { id: image.id, names }
}

function createPlan(request: BuildRequest, context: BuildContext, bases: BuildBases): Promise<BuildPlan> {
  const host = hostPlatform(process.arch)
  return lower({
    dockerfile: parseDockerfile(context.dockerfile),
    target: request.target,
    buildArgs: new Map(Object.entries(request.buildArgs ?? {})),
    platform: request.platform ?? host,
    buildPlatform: host,
  }, bases)
}

interface ExecutorParts {
  readonly request: BuildRequest
  readonly context: BuildContext
  readonly bases: BuildBases
  readonly plan: BuildPlan
}

function createExecutors({ store }: Engine, { request, context, bases, plan }: ExecutorParts): Executors {
  const openContextView = (): Promise<RootfsView> => Promise.resolve(context.view)
  const layers = createCachedLayers(store, { isReadable: request.noCache !== true, now: () => new Date() })
  return {
    source: createSourceExecutor((name, task) => bases.ensure(name, task)),
    mkdir: createMkdirExecutor({ store, layers }),
    copy: createCopyExecutor({ store, layers, context: openContextView }),
    run: createRunExecutor({
      store,
      layers,
      settings: {
        ...unsetConfinement,
        ...request,
        limits: { pids: defaultPids, ...request.limits },
        allowed: new Set(request.allow),
        env: proxyVariables(new Map(Object.entries(request.buildArgs ?? {}))),
      },
      mounts: { store, layers, context: openContextView, secrets: request.secrets ?? {}, sshAgents: request.sshAgents ?? {} },
      policy: (node) => plan.policies.get(node) ?? noPolicy,
    }),
  }
}

function labeled(planned: BuildPlan['target'], labels: BuildRequest['labels']): BuildPlan['target'] {
  if (labels === undefined || Object.keys(labels).length === 0) return planned
  return { ...planned, config: { ...planned.config, Labels: { ...planned.config.Labels, ...labels } } }
}
