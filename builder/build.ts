import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import type { Task, TaskOptions } from '../core/task.ts'
import { createTask, silent } from '../core/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { encodeDocument } from '../oci/manifest.ts'
import { normalizePlatform } from '../oci/platform.ts'
import { NetworkPool } from '../runtime/index.ts'
import { defaultBuilderId, noAttestations } from './attest/attestation-request.ts'
import type { BuildOrigin } from './attest/describe-build.ts'
import { describeBuild } from './attest/describe-build.ts'
import type { DescribedImage } from './attest/make-predicates.ts'
import { makePredicates, makeProvenance } from './attest/make-predicates.ts'
import { BuildBases } from './base-images.ts'
import type { SharedCaches } from './cache/shared/shared-caches.ts'
import { openSharedCaches, warnOfCache } from './cache/shared/shared-caches.ts'
import type { CacheToWrite } from './cache/shared/write-cache.ts'
import { inlineCache, writeCaches } from './cache/shared/write-cache.ts'
import { StepClaims } from './cache/step-claims.ts'
import { createStepCache } from './cache/step-cache.ts'
import { openBuildContext } from './build-inputs.ts'
import type { BuildRequest } from './build-request.ts'
import { checkRequest } from './build-request.ts'
import type { OwnRequest } from './create-executors.ts'
import { createExecutors } from './create-executors.ts'
import { openMemoryContext } from './context/memory-context.ts'
import type { OnFailure } from './debug/failed-step.ts'
import type { Engine } from './engine.ts'
import { openEngine } from './engine.ts'
import { CacheSourceFailed, ResultNotKept } from './cache/shared/errors.ts'
import { StepFailed } from './errors.ts'
import type { BuildEvent } from './events.ts'
import { createCachedLayers } from './execute/cached-layers.ts'
import type { NodeResult } from './execute/executor.ts'
import { emptyResult } from './execute/executor.ts'
import type { BuiltImage } from './export/image.ts'
import { assembleImage, imageConfig } from './export/image.ts'
import { openGuard } from './guard/open-guard.ts'
import { SpaceWatch } from './low-space.ts'
import { noAnnotations } from './output/build-output.ts'
import { restack } from './output/restack.ts'
import type { WrittenOutput } from './output/write-outputs.ts'
import { writeOutputs } from './output/write-outputs.ts'
import { checkAgentSource } from './mount/agent-socket.ts'
import { planBuild } from './plan-build.ts'
import type { PlannedImage } from './plan/plan.ts'
import type { BuildCommandLine } from './record/build-record.ts'
import { observed } from './record/observed.ts'
import type { Solved, SolveOptions } from './solve.ts'
import { solve } from './solve.ts'
import { toldOnce } from './told-once.ts'
import type { DepartingImage } from './transfer/portable-tree.ts'

export interface BuildOptions extends TaskOptions<BuildEvent> {
  readonly engine?: Engine
  /** Kept in the build's record, so that the same can be asked for again. */
  readonly command?: BuildCommandLine
  /** Gets a RUN step that failed, before the build does. */
  readonly onFailure?: OnFailure | undefined
}

/** Steps wait more than they compute: for the network, for the disk. */
const defaultJobs = 8

export interface BuildResult {
  readonly id: Digest
  readonly names: readonly string[]
  /** Of the image as the store has it; what was pushed or saved is among the outputs. */
  readonly descriptor: Descriptor
  /** By which its record is found. */
  readonly build: string
  /** How the image of each platform was made, where `describes` asked for it. */
  readonly provenance: readonly DescribedImage[]
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
  const checked = checkRequest(request)
  const guard = openGuard(request.secrets ?? {})
  for (const [id, paths] of Object.entries(request.sshAgents ?? {})) checkAgentSource({ id, paths })
  const observation = { guard, title: request.names?.[0] ?? (typeof request.context === 'string' ? request.context : 'files in memory'), command: options.command }
  return await observed(engine, { observation, task: createTask(options) }, ({ id, task, ...seen }) => buildImage(engine, { ...rest, ...checked, ...seen, ...memory.paths, guard, build: id, onFailure: options.onFailure }, task))
}

async function buildImage(engine: Engine, request: OwnRequest, task: Task<BuildEvent>): Promise<BuildResult> {
  const { guard, platforms } = request
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
  using networks = new NetworkPool({ subnet: request.subnet, isIsolated: true })
  const cache = createStepCache(engine.store, { plan, place, noCache: request.noCache, claims }, task)
  const { rootfses, results } = await solveTrusting(() => {
    used.clear()
    return { plan, executors: createExecutors(engine, { request, context, bases, plan, layers, networks }), jobs: request.jobs ?? Math.max(defaultJobs, availableParallelism()), cache }
  }, shared, task)
  context.digests?.save()
  const images = plan.targets.map((target, index): BuiltImage => ({ planned: labeled(target, request.labels), rootfs: rootfses[index] ?? emptyResult, results, created: epochTime(request.sourceDateEpoch) }))
  const toWrite = { used, shared, images: rootfses.map(({ diffIds }) => diffIds) }
  const result = await finish(engine, { request, space, images, cache: toWrite, origin: { plan, context, bases } }, task)
  await writeCaches(engine, { targets: request.cacheTo ?? [], cache: toWrite }, task)
  return result
}

/**
 * A shared cache that does not hold what it promised is left out, and what was built on its promises is solved again; so are
 * results without layers, where a layer turns out to be needed.
 */
async function solveTrusting(createOptions: () => SolveOptions, shared: SharedCaches, building: Task<BuildEvent>): Promise<Solved> {
  const task = toldOnce(building)
  for (;;) {
    try {
      const solved = await solve(createOptions(), task)
      for (const rootfs of solved.rootfses) await rootfs.ensure(task)
      return solved
    } catch (error) {
      const failure = findCacheFailure(error)
      if (failure instanceof ResultNotKept && shared.forgetLacking()) continue
      if (!(failure instanceof CacheSourceFailed) || !shared.distrust(failure.source)) throw error
      warnOfCache(failure.source, failure, task)
    }
  }
}

function findCacheFailure(error: unknown): CacheSourceFailed | ResultNotKept | undefined {
  if (error instanceof CacheSourceFailed || error instanceof ResultNotKept) return error
  return error instanceof StepFailed ? findCacheFailure(error.cause) : undefined
}

interface Finishing {
  readonly request: OwnRequest
  readonly space: SpaceWatch
  /** One for each platform. */
  readonly images: readonly BuiltImage[]
  readonly cache: CacheToWrite
  readonly origin: BuildOrigin
}

async function finish(engine: Engine, finishing: Finishing, task: Task<BuildEvent>): Promise<BuildResult> {
  const { request, space, images } = finishing
  const { names } = request
  const restacking = { squash: request.squash === 'all' ? { first: 1, last: Infinity } : request.squash, epochSeconds: request.sourceDateEpoch }
  const restacked: BuiltImage[] = []
  for (const image of images) restacked.push(await restack(engine.store, image, { restacking, task: silent(task) }))
  await engine.store.layers.sync(silent(task))
  space.check()
  const assembled: Assembled[] = []
  for (const [index, image] of restacked.entries()) assembled.push(await assemble(engine, { image, index, finishing }, task))
  const members = assembled.map(({ departing }) => departing)
  const built = { members, names, annotations: request.annotations ?? noAnnotations }
  warnOfCutSearch(request.guard, task)
  const { id, descriptor } = await identify(engine.store, members)
  const outputs = await writeOutputs(engine, { image: { ...built, id, descriptor, signer: request.attestations?.signer }, outputs: request.outputs }, task)
  task.emit({ type: 'image-exported', id, names, atMs: Date.now() })
  return { id, names, descriptor, outputs, build: request.build, provenance: assembled.flatMap(({ described }) => described ?? []) }
}

const shownPlaces = 5

function warnOfCutSearch({ cutPlaces }: OwnRequest['guard'], task: Task<BuildEvent>): void {
  if (cutPlaces.length === 0) return
  const more = cutPlaces.length > shownPlaces ? `, and of ${cutPlaces.length - shownPlaces} others` : ''
  task.emit({ type: 'warning-raised', rule: 'SecretSearchCut', message: `secrets were looked for in the beginning only of ${cutPlaces.slice(0, shownPlaces).join(', of ')}${more}: of what gzip compressed, 8 MiB of each and 64 MiB of a layer are searched`, range: undefined })
}

interface Assembled { readonly departing: DepartingImage; readonly described: DescribedImage | undefined }

async function assemble({ store }: Engine, { image, index, finishing }: { readonly image: BuiltImage; readonly index: number; readonly finishing: Finishing }, task: Task<BuildEvent>): Promise<Assembled> {
  const { request, cache, origin } = finishing
  request.guard.checkConfig(imageConfig(image))
  const isInline = request.cacheTo?.some(({ type }) => type === 'inline') === true
  const assembled = await assembleImage(store, image, { annotations: request.annotations?.manifest ?? {}, inlineCache: isInline ? inlineCache(cache, index) : undefined })
  const { attestations = noAttestations, guard } = request
  const history = (): ReturnType<typeof describeBuild> => describeBuild(request, origin, { used: image.results, platform: image.planned.platform })
  const predicates = await makePredicates(store, { request: attestations, image: assembled, name: request.names[0] ?? assembled.stored.id, guard, created: image.created, history }, task)
  const described = request.describes === undefined ? undefined : {
    platform: image.planned.platform,
    predicate: await makeProvenance({ mode: request.describes, builderId: attestations.provenance?.builderId ?? defaultBuilderId }, { history, guard }),
  }
  return { departing: { image: assembled, predicates }, described }
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

function labeled(planned: PlannedImage, labels: BuildRequest['labels']): PlannedImage {
  if (labels === undefined || Object.keys(labels).length === 0) return planned
  return { ...planned, config: { ...planned.config, Labels: { ...planned.config.Labels, ...labels } } }
}
