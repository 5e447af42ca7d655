import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import type { Task, TaskOptions } from '../core/task.ts'
import { createTask, silent } from '../core/task.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import { hostPlatform } from '../oci/platform.ts'
import type { RootfsView } from '../storage/index.ts'
import { BuildBases } from './base-images.ts'
import type { PullMode } from './base-images.ts'
import { MissExplainer } from './cache/miss-explainer.ts'
import { StepClaims } from './cache/step-claims.ts'
import type { Confinement } from './container/confinement.ts'
import { unsetConfinement } from './container/confinement.ts'
import { namedContexts, openBuildContext } from './build-inputs.ts'
import { checkDockerfile } from './call/check-dockerfile.ts'
import type { BuildContext, ContextRequest } from './context/open-context.ts'
import { openNamedFolder } from './context/open-context.ts'
import { proxyVariables } from './dockerfile/arg-scope.ts'
import { parseDockerfile } from './dockerfile/parse.ts'
import type { StepPolicy } from './dockerfile/step-policy.ts'
import { noPolicy } from './dockerfile/step-policy.ts'
import type { Engine } from './engine.ts'
import { openEngine } from './engine.ts'
import type { Entitlement } from './errors.ts'
import { ChecksFailed } from './errors.ts'
import type { BuildEvent } from './events.ts'
import { createCachedLayers } from './execute/cached-layers.ts'
import { createCopyExecutor } from './execute/copy.ts'
import type { Executors } from './execute/executor.ts'
import { createGitExecutor } from './execute/git.ts'
import { createHttpExecutor } from './execute/http.ts'
import { createMkdirExecutor } from './execute/mkdir.ts'
import { createPatientExecutor } from './execute/patient-executor.ts'
import { createRunExecutor } from './execute/run.ts'
import { createSourceExecutor } from './execute/source.ts'
import { exportImage } from './export/image.ts'
import { canonicalName } from './find-image.ts'
import type { SecretSource } from './mount/mount-parts.ts'
import type { LowerOptions } from './plan/lower.ts'
import { lower } from './plan/lower.ts'
import type { BuildPlan, NodeId } from './plan/plan.ts'
import type { StepCache } from './solve.ts'
import { solve } from './solve.ts'

export interface BuildRequest extends ContextRequest, Partial<Confinement> {
  /** By name what --build-context says: a folder, `docker-image://`, `oci-layout://`, a git repository, an address of http(s). */
  readonly contexts?: Readonly<Record<string, string>>
  /** Names for the image. */
  readonly names?: readonly string[]
  readonly target?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly platform?: Platform
  /** Runs every step, or those of the stages named, whether or not their results are known. */
  readonly noCache?: boolean | readonly string[]
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
  const context = await openBuildContext(engine.store, request, task)
  const bases = new BuildBases(engine, { pull: request.pull ?? 'missing', task })
  const planning = planningOf(request, context)
  const plan = await lower(planning, bases)
  await raiseWarnings(planning, { context, bases }, task)
  task.emit({ type: 'build-planned', steps: [...plan.labels].map(([node, label]) => ({ node, label })) })
  warnOfUnknownStages(request.noCache, plan, task)
  const executors = createExecutors(engine, { request, context, bases, plan })
  await using claims = new StepClaims(engine.store)
  const cache = createStepCache(engine, { request, plan, claims }, task)
  const { rootfs, results } = await solve({ plan, executors, jobs: request.jobs ?? Math.max(defaultJobs, availableParallelism()), cache }, task)
  await rootfs.ensure(task)
  await engine.store.layers.sync(silent(task))
  const image = await exportImage(engine.store, { planned: labeled(plan.target, request.labels), rootfs, results }, names)
  task.emit({ type: 'image-exported', id: image.id, names, atMs: Date.now() })
  return { id: image.id, names }
}

function planningOf(request: BuildRequest, context: BuildContext): LowerOptions {
  const host = hostPlatform(process.arch)
  return {
    dockerfile: parseDockerfile(context.dockerfile),
    target: request.target,
    buildArgs: new Map(Object.entries(request.buildArgs ?? {})),
    platform: request.platform ?? host,
    buildPlatform: host,
    contexts: namedContexts(request),
  }
}

/** Checks what the target needs. @throws {ChecksFailed} when the Dockerfile wants its warnings to be errors */
async function raiseWarnings(planning: LowerOptions, { context, bases }: { context: BuildContext; bases: BuildBases }, task: Task<BuildEvent>): Promise<void> {
  const target = planning.target ?? String(planning.dockerfile.stages.length - 1)
  const { warnings } = await checkDockerfile({ ...planning, target, contexts: new Set(planning.contexts.keys()), ignore: context.ignore }, bases, silent(task))
  for (const { rule, message, range } of warnings) task.emit({ type: 'warning-raised', rule, message, range })
  const failed = warnings.filter(({ level }) => level === 'error')
  if (failed.length > 0) throw new ChecksFailed(planning.dockerfile.source, failed)
}

interface ExecutorParts {
  readonly request: BuildRequest
  readonly context: BuildContext
  readonly bases: BuildBases
  readonly plan: BuildPlan
}

function createExecutors({ store }: Engine, { request, context, bases, plan }: ExecutorParts): Executors {
  const policy = (node: NodeId): StepPolicy => plan.policies.get(node) ?? noPolicy
  const contexts = namedContexts(request)
  const folders = new Map([...contexts].flatMap(([name, named]) => named.kind === 'folder' ? [[name, openNamedFolder(named.path)] as const] : []))
  const openContextView = (name: string | undefined): Promise<RootfsView> => Promise.resolve(name === undefined ? context.view : folders.get(name) ?? context.view)
  const layers = createCachedLayers(store, { now: () => new Date() })
  return {
    source: createSourceExecutor((name, task) => bases.ensure(name, task)),
    mkdir: createMkdirExecutor({ store, layers }),
    copy: createCopyExecutor({ store, layers, context: openContextView }),
    http: createPatientExecutor(createHttpExecutor({ store, layers }), policy),
    git: createPatientExecutor(createGitExecutor({ store, layers }), policy),
    run: createRunExecutor({
      store,
      layers,
      settings: {
        network: 'host',
        ...unsetConfinement,
        ...request,
        allowed: new Set(request.allow),
        env: proxyVariables(new Map(Object.entries(request.buildArgs ?? {}))),
      },
      mounts: { store, layers, context: openContextView, secrets: request.secrets ?? {}, sshAgents: request.sshAgents ?? {} },
      policy,
    }),
  }
}

function createStepCache({ store }: Engine, { request, plan, claims }: { request: BuildRequest; plan: BuildPlan; claims: StepClaims }, task: Task<BuildEvent>): StepCache {
  const place = JSON.stringify([resolve(request.context), request.dockerfile ?? ''])
  const explainer = new MissExplainer({ store, place, labels: plan.labels })
  const off = stepsWithoutCache(plan, request.noCache)
  return {
    claims,
    isOff: (id) => off.has(id),
    missed: (node, key) => { task.emit({ type: 'cache-missed', node, cause: off.has(node) ? { kind: 'cache-off' } : explainer.explain(node, key) }) },
    made: (node, key, { chainId }) => { explainer.remember(node, key, chainId) },
  }
}

function warnOfUnknownStages(noCache: BuildRequest['noCache'], { labels }: BuildPlan, task: Task<BuildEvent>): void {
  if (typeof noCache !== 'object') return
  const stages = new Set([...labels.values()].map(({ stage }) => stage.toLowerCase()))
  for (const name of noCache.filter((stage) => !stages.has(stage.toLowerCase()))) {
    task.emit({ type: 'warning-raised', rule: 'no-cache-filter', message: `this build has no steps of a stage "${name}"`, range: undefined })
  }
}

function stepsWithoutCache({ nodes, labels, policies }: BuildPlan, noCache: BuildRequest['noCache']): ReadonlySet<NodeId> {
  if (noCache === true) return new Set(nodes.keys())
  const stages = new Set(typeof noCache === 'object' ? noCache.map((name) => name.toLowerCase()) : [])
  const isOff = (id: NodeId, stage: string): boolean => policies.get(id)?.cache === false || stages.has(stage.toLowerCase())
  return new Set([...labels].filter(([id, { stage }]) => isOff(id, stage)).map(([id]) => id))
}

function labeled(planned: BuildPlan['target'], labels: BuildRequest['labels']): BuildPlan['target'] {
  if (labels === undefined || Object.keys(labels).length === 0) return planned
  return { ...planned, config: { ...planned.config, Labels: { ...planned.config.Labels, ...labels } } }
}
