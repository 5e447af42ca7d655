import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import type { Task, TaskOptions } from '../core/task.ts'
import { createTask, silent } from '../core/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { encodeDocument } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import { formatPlatform, hostPlatform, normalizePlatform } from '../oci/platform.ts'
import { BridgePool, canLimit } from '../runtime/index.ts'
import type { RootfsView } from '../storage/index.ts'
import type { AttestationRequest } from './attest/attestation-request.ts'
import { noAttestations } from './attest/attestation-request.ts'
import { checkAttestations } from './attest/check-attestations.ts'
import type { BuildOrigin } from './attest/describe-build.ts'
import { describeBuild } from './attest/describe-build.ts'
import { makePredicates } from './attest/make-predicates.ts'
import { BuildBases } from './base-images.ts'
import type { PullMode } from './base-images.ts'
import type { CacheSource, CacheTarget } from './cache/shared/cache-place.ts'
import type { SharedCaches } from './cache/shared/shared-caches.ts'
import { openSharedCaches, warnOfCache } from './cache/shared/shared-caches.ts'
import type { CacheToWrite } from './cache/shared/write-cache.ts'
import { inlineCache, writeCaches } from './cache/shared/write-cache.ts'
import { StepClaims } from './cache/step-claims.ts'
import { createStepCache } from './cache/step-cache.ts'
import type { Confinement } from './container/confinement.ts'
import { unsetConfinement } from './container/confinement.ts'
import { namedContexts, openBuildContext } from './build-inputs.ts'
import type { ContextFiles, ContextPaths, DockerfileText } from './context/memory-context.ts'
import { openMemoryContext } from './context/memory-context.ts'
import type { BuildContext, ContextRequest } from './context/open-context.ts'
import { openNamedFolder } from './context/open-context.ts'
import { proxyVariables } from './dockerfile/arg-scope.ts'
import type { OnFailure } from './debug/failed-step.ts'
import { describeFailure } from './debug/failed-step.ts'
import type { StepPolicy } from './dockerfile/step-policy.ts'
import { noPolicy } from './dockerfile/step-policy.ts'
import { usualCdiFolders } from './device/cdi-spec.ts'
import type { Engine } from './engine.ts'
import { openEngine } from './engine.ts'
import type { Entitlement } from './errors.ts'
import { CacheSourceFailed, StepFailed } from './errors.ts'
import type { BuildEvent } from './events.ts'
import type { CachedLayers } from './execute/cached-layers.ts'
import { createCachedLayers } from './execute/cached-layers.ts'
import { createCopyExecutor } from './execute/copy.ts'
import type { Executors, NodeResult } from './execute/executor.ts'
import { emptyResult } from './execute/executor.ts'
import { createGitExecutor } from './execute/git.ts'
import { createHttpExecutor } from './execute/http.ts'
import { createMkdirExecutor } from './execute/mkdir.ts'
import { createPatientExecutor } from './execute/patient-executor.ts'
import type { RunParts } from './execute/run.ts'
import { createRunExecutor } from './execute/run.ts'
import { createSourceExecutor } from './execute/source.ts'
import type { BuiltImage } from './export/image.ts'
import { assembleImage, imageConfig } from './export/image.ts'
import { canonicalName } from './find-image.ts'
import { openGuard } from './guard/open-guard.ts'
import type { SecretGuard } from './guard/secret-guard.ts'
import { SpaceWatch } from './low-space.ts'
import type { BuildOutput, ImageAnnotations } from './output/build-output.ts'
import { noAnnotations } from './output/build-output.ts'
import type { SquashRange } from './output/restack.ts'
import { restack } from './output/restack.ts'
import type { WrittenOutput } from './output/write-outputs.ts'
import { checkOutputs, writeOutputs } from './output/write-outputs.ts'
import { checkAgentSource } from './mount/agent-socket.ts'
import type { SecretSource } from './mount/mount-parts.ts'
import { planBuild } from './plan-build.ts'
import type { BuildPlan, NodeId, PlannedImage } from './plan/plan.ts'
import type { BuildProgress } from './record/build-progress.ts'
import type { BuildCommandLine } from './record/build-record.ts'
import { toWireLabel } from './record/wire-event.ts'
import { observed } from './record/observed.ts'
import type { Solved, SolveOptions } from './solve.ts'
import { solve } from './solve.ts'
import type { DepartingImage } from './transfer/portable-tree.ts'

export interface BuildRequest extends Omit<ContextRequest, 'context' | 'dockerfile'>, Partial<Confinement> {
  /** A folder, `-` for standard input, an address of http(s), a git repository, or files in memory. */
  readonly context: string | ContextFiles
  /** A path, `-` for standard input, an address, or the text itself; default `Dockerfile` in the context. */
  readonly dockerfile?: string | DockerfileText
  /** By name what --build-context says: a folder, `docker-image://`, `oci-layout://`, a git repository, an address of http(s). */
  readonly contexts?: Readonly<Record<string, string>>
  /** Names for the image. */
  readonly names?: readonly string[]
  readonly target?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  /** What the image is for; default this machine. Of several an index is made. */
  readonly platforms?: readonly Platform[]
  /** Runs every step, or those of the stages named, whether or not their results are known. */
  readonly noCache?: boolean | readonly string[]
  readonly pull?: PullMode
  /** Caches of others to look results up in, best first. */
  readonly cacheFrom?: readonly CacheSource[]
  /** Where others are to find what this build knows. */
  readonly cacheTo?: readonly CacheTarget[]
  /** What RUN --mount=type=secret gives to steps, by id. */
  readonly secrets?: Readonly<Record<string, SecretSource>>
  /** For RUN --mount=type=ssh, by id: the socket of an agent, or files of keys without passphrase. */
  readonly sshAgents?: Readonly<Record<string, readonly string[]>>
  /** Folders of CDI specifications for RUN --device; default /etc/cdi and /var/run/cdi. */
  readonly cdiFolders?: readonly string[]
  /** What steps may ask for beyond the ordinary. */
  readonly allow?: readonly Entitlement[]
  /** What RUN steps see as the host's name. It is in no cache key. */
  readonly hostname?: string
  /** Steps at the same time; default 8, or the number of processors. */
  readonly jobs?: number
  /** Default: an image of the store. */
  readonly outputs?: readonly BuildOutput[]
  readonly annotations?: ImageAnnotations
  /** What is said of the image in registries and OCI layouts; default nothing. */
  readonly attestations?: AttestationRequest
  /** Makes one layer of all that the Dockerfile makes, or of some of them. */
  readonly squash?: SquashRange | 'all'
  /** Seconds since 1970: the time of the image, and of every file in its new layers that would be younger. */
  readonly sourceDateEpoch?: number
}

export interface BuildOptions extends TaskOptions<BuildEvent> {
  readonly engine?: Engine
  /** Kept in the build's record, so that the same can be asked for again. */
  readonly command?: BuildCommandLine
  /** Gets a RUN step that failed, before the build does. */
  readonly onFailure?: OnFailure | undefined
}

/** No step of a build needs more processes at a time; a fork bomb ends here. */
const defaultPids = 4096

/** Steps wait more than they compute: for the network, for the disk. */
const defaultJobs = 8

export interface BuildResult {
  readonly id: Digest
  readonly names: readonly string[]
  /** Of the image as the store has it; what was pushed or saved is among the outputs. */
  readonly descriptor: Descriptor
  readonly outputs: readonly WrittenOutput[]
}

/**
 * Builds an image and gives it its names. With an engine of the caller's many builds can share one; without one the
 * default store is opened and closed.
 * @throws {DockerfileError} @throws {StepFailed} @throws {ContextUnreadable}
 */
export async function build(request: BuildRequest, options: BuildOptions = {}): Promise<BuildResult> {
  if (options.engine !== undefined) return buildWith(options.engine, request, options)
  await using engine = await openEngine()
  return await buildWith(engine, request, options)
}

async function buildWith(engine: Engine, request: BuildRequest, options: BuildOptions): Promise<BuildResult> {
  using memory = openMemoryContext(request)
  const { dockerfile: _dockerfile, ...rest } = request
  const guard = openGuard(request.secrets ?? {})
  for (const [id, paths] of Object.entries(request.sshAgents ?? {})) checkAgentSource({ id, paths })
  const observation = { guard, title: request.names?.[0] ?? (typeof request.context === 'string' ? request.context : 'files in memory'), command: options.command }
  return await observed(engine, { observation, task: createTask(options) }, ({ id, task, ...seen }) => buildImage(engine, { ...rest, ...seen, ...memory.paths, guard, build: id, onFailure: options.onFailure }, task))
}

/** Of what lies on disk, with what belongs to this one build. */
interface OwnRequest extends Omit<BuildRequest, 'context' | 'dockerfile'>, ContextPaths {
  readonly guard: SecretGuard
  readonly build: string
  readonly startedAtMs: number
  readonly progress: BuildProgress
  readonly onFailure: OnFailure | undefined
}

async function buildImage(engine: Engine, request: OwnRequest, task: Task<BuildEvent>): Promise<BuildResult> {
  const { guard } = request
  const names = (request.names ?? []).map(canonicalName)
  const platforms = platformsOf(request)
  checkOutputs(request.outputs ?? [], { names, platforms })
  checkAttestations(request.attestations ?? noAttestations, { outputs: request.outputs ?? [], annotations: request.annotations ?? noAnnotations })
  const space = new SpaceWatch(engine.store, task)
  space.check()
  const context = await openBuildContext(engine.store, request, task)
  guard.checkText(context.dockerfile.name, context.dockerfile.text)
  const bases = new BuildBases(engine, { pull: request.pull ?? 'missing', task })
  const plan = await planBuild(request, { context, bases, platforms }, task)
  guard.checkPlan(plan)
  for (const secret of guard.unguarded) task.emit({ type: 'warning-raised', rule: 'SecretTooShort', message: `the value of secret "${secret}" is too short to be looked for in what the build keeps`, range: undefined })
  task.emit({ type: 'build-planned', steps: [...plan.labels].map(([node, label]) => ({ node, label })) })
  const shared = await openSharedCaches(engine, request.cacheFrom ?? [], task)
  const used = new Map<string, NodeResult>()
  const layers = createCachedLayers(engine.store, { now: () => new Date(), shared, used })
  await using claims = new StepClaims(engine.store)
  const place = JSON.stringify([resolve(request.context), request.dockerfile ?? ''])
  using networks = new BridgePool({ subnet: request.subnet, isIsolated: true })
  const cache = createStepCache(engine.store, { plan, place, noCache: request.noCache, claims }, task)
  const { rootfses, results } = await solveTrusting(() => {
    used.clear()
    return { plan, executors: createExecutors(engine, { request, context, bases, plan, layers, networks }), jobs: request.jobs ?? Math.max(defaultJobs, availableParallelism()), cache }
  }, shared, task)
  context.digests?.save()
  const images = plan.targets.map((target, index): BuiltImage => ({ planned: labeled(target, request.labels), rootfs: rootfses[index] ?? emptyResult, results, created: epochTime(request.sourceDateEpoch) }))
  const toWrite = { used, shared, images: rootfses.map(({ diffIds }) => diffIds) }
  const result = await finish(engine, { request, names, space, images, cache: toWrite, origin: { plan, context, bases } }, task)
  await writeCaches(engine, { targets: request.cacheTo ?? [], cache: toWrite }, task)
  return result
}

/** A shared cache that does not hold what it promised is left out, and what was built on its promises is solved again. */
async function solveTrusting(createOptions: () => SolveOptions, shared: SharedCaches, task: Task<BuildEvent>): Promise<Solved> {
  for (;;) {
    try {
      const solved = await solve(createOptions(), task)
      for (const rootfs of solved.rootfses) await rootfs.ensure(task)
      return solved
    } catch (error) {
      const failure = findCacheFailure(error)
      if (failure === undefined || !shared.distrust(failure.source)) throw error
      warnOfCache(failure.source, failure, task)
    }
  }
}

function findCacheFailure(error: unknown): CacheSourceFailed | undefined {
  if (error instanceof CacheSourceFailed) return error
  return error instanceof StepFailed ? findCacheFailure(error.cause) : undefined
}

interface Finishing {
  readonly request: OwnRequest
  readonly names: readonly string[]
  readonly space: SpaceWatch
  /** One for each platform. */
  readonly images: readonly BuiltImage[]
  readonly cache: CacheToWrite
  readonly origin: BuildOrigin
}

async function finish(engine: Engine, finishing: Finishing, task: Task<BuildEvent>): Promise<BuildResult> {
  const { request, names, space, images } = finishing
  const restacking = { squash: request.squash === 'all' ? { first: 1, last: Infinity } : request.squash, epochSeconds: request.sourceDateEpoch }
  const restacked: BuiltImage[] = []
  for (const image of images) restacked.push(await restack(engine.store, image, { restacking, task: silent(task) }))
  await engine.store.layers.sync(silent(task))
  space.check()
  const members: DepartingImage[] = []
  for (const [index, image] of restacked.entries()) members.push(await assemble(engine, { image, index, finishing }, task))
  const built = { members, names, annotations: request.annotations ?? noAnnotations }
  const { id, descriptor } = await identify(engine.store, members)
  const outputs = await writeOutputs(engine, { image: { ...built, id, descriptor, signer: request.attestations?.signer }, outputs: request.outputs ?? [{ type: 'image' }] }, task)
  task.emit({ type: 'image-exported', id, names, atMs: Date.now() })
  return { id, names, descriptor, outputs }
}

async function assemble({ store }: Engine, { image, index, finishing }: { readonly image: BuiltImage; readonly index: number; readonly finishing: Finishing }, task: Task<BuildEvent>): Promise<DepartingImage> {
  const { request, names, cache, origin } = finishing
  request.guard.checkConfig(imageConfig(image))
  const isInline = request.cacheTo?.some(({ type }) => type === 'inline') === true
  const assembled = await assembleImage(store, image, { annotations: request.annotations?.manifest ?? {}, inlineCache: isInline ? inlineCache(cache, index) : undefined })
  const predicates = await makePredicates(store, {
    request: request.attestations ?? noAttestations, image: assembled, name: names[0] ?? assembled.stored.id, guard: request.guard, created: image.created,
    history: () => describeBuild(request, origin, { used: image.results, platform: image.planned.platform }),
  }, task)
  return { image: assembled, predicates }
}

/** What the store calls the result: the image, or an index of the images of all platforms. */
async function identify(store: Engine['store'], [first, ...others]: readonly DepartingImage[]): Promise<Pick<BuildResult, 'id' | 'descriptor'>> {
  if (first === undefined) throw new TypeError('a build makes an image')
  if (others.length === 0) return { id: first.image.stored.id, descriptor: first.image.stored.manifest }
  const manifests = [first, ...others].map(({ image }) => ({ ...image.stored.manifest, platform: normalizePlatform(image.config) }))
  const descriptor = await store.content.write(encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }), mediaTypes.ociIndex)
  return { id: descriptor.digest, descriptor }
}

function epochTime(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}

/** Each once, however often and however spelled it is asked for. */
function platformsOf({ platforms = [] }: Pick<BuildRequest, 'platforms'>): readonly [Platform, ...Platform[]] {
  const [first, ...others] = new Map(platforms.map((platform) => [formatPlatform(platform), platform])).values()
  return first === undefined ? [hostPlatform(process.arch)] : [first, ...others]
}

interface ExecutorParts {
  readonly request: OwnRequest
  readonly context: BuildContext
  readonly bases: BuildBases
  readonly plan: BuildPlan
  readonly layers: CachedLayers
  readonly networks: BridgePool
}

function createExecutors({ store }: Engine, { request, context, bases, plan, layers, networks }: ExecutorParts): Executors {
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

function labeled(planned: PlannedImage, labels: BuildRequest['labels']): PlannedImage {
  if (labels === undefined || Object.keys(labels).length === 0) return planned
  return { ...planned, config: { ...planned.config, Labels: { ...planned.config.Labels, ...labels } } }
}
