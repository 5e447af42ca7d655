import type { Platform } from '../../oci/platform.ts'
import type { NamedContext } from '../context/named-context.ts'
import type { GlobalScope } from '../dockerfile/arg-scope.ts'
import { evaluateGlobalArgs, platformArgs } from '../dockerfile/arg-scope.ts'
import { expandWord } from '../dockerfile/expand/expand.ts'
import { expandInstruction } from '../dockerfile/expand/instruction.ts'
import type { Place } from '../dockerfile/errors.ts'
import type { Dockerfile, DockerfileSource, RunInstruction, StageInstruction } from '../dockerfile/instruction.ts'
import { parseOnbuildTrigger } from '../dockerfile/parse.ts'
import type { ResolvedStage, StageSource } from '../dockerfile/stage-graph.ts'
import type { StepPolicy } from '../dockerfile/step-policy.ts'
import { noPolicy, parseStepPolicy } from '../dockerfile/step-policy.ts'
import { findTarget, nearestStage, reachableStages, resolveStages, resolveTriggerUse } from '../dockerfile/stage-graph.ts'
import { parsePlatformFlag } from '../dockerfile/values/platform.ts'
import type { BaseImage, BaseImages, ImagePlace } from './base-images.ts'
import { lowerConfig } from './lower-config.ts'
import { contextCopy, lowerCopy, lowerGit, lowerHttp } from './lower-copy.ts'
import { lowerMounts } from './lower-mounts.ts'
import type { LoweredStep } from './lower-steps.ts'
import { lowerRun, lowerWorkdir } from './lower-steps.ts'
import type { BuildPlan, CopyOrigin, NodeId, PlannedMount, PlanNode, StepLabel } from './plan.ts'
import { nodeId } from './plan.ts'
import type { StageState } from './stage-state.ts'
import { derivedState, imageState, noteConfig, plannedImage, scratchState } from './stage-state.ts'

export interface LowerOptions {
  readonly dockerfile: Dockerfile
  /** Name or number of the stage to build; the last one otherwise. */
  readonly target: string | undefined
  readonly buildArgs: ReadonlyMap<string, string>
  readonly platform: Platform
  readonly buildPlatform: Platform
  /** Of --build-context, by normalized name. */
  readonly contexts: ReadonlyMap<string, NamedContext>
}

/**
 * Turns the stages that the target needs into a plan. Nothing is built: of base images only the configs are read, those
 * of independent stages at the same time.
 * @throws {DockerfileError} @throws {ImageUnavailable}
 */
export async function lower(options: LowerOptions, images: BaseImages): Promise<BuildPlan> {
  const { dockerfile, target, buildArgs, platform, buildPlatform } = options
  const targetIndex = findTarget(dockerfile, target)
  const global = evaluateGlobalArgs(dockerfile, { buildArgs, platformArgs: platformArgs({ build: buildPlatform, target: platform, targetStage: target }) })
  const stages = resolveStages(dockerfile, global, new Set(options.contexts.keys()))
  const lowering = new Lowering(options, { global, stages, images })
  const states = await Promise.all([...reachableStages(stages, targetIndex)].map(async (index) => ({ index, state: await lowering.getStage(index) })))
  const built = states.find(({ index }) => index === targetIndex)
  if (built === undefined) throw new TypeError('the target is not among the stages it needs')
  return lowering.finish(built.state)
}

interface Prepared {
  readonly global: GlobalScope
  readonly stages: readonly ResolvedStage[]
  readonly images: BaseImages
}

class Lowering {
  readonly #options: LowerOptions
  readonly #prepared: Prepared
  readonly #states = new Map<number, Promise<StageState>>()
  readonly #nodes = new Map<NodeId, PlanNode>()
  readonly #labels = new Map<NodeId, StepLabel>()
  readonly #policies = new Map<NodeId, StepPolicy>()
  readonly #variablesOfArgs = new Map<NodeId, ReadonlySet<string>>()

  constructor(options: LowerOptions, prepared: Prepared) {
    this.#options = options
    this.#prepared = prepared
  }

  getStage(index: number): Promise<StageState> {
    const found = this.#states.get(index)
    if (found !== undefined) return found
    const started = this.#lowerStage(index)
    this.#states.set(index, started)
    return started
  }

  finish(target: StageState): BuildPlan {
    return { nodes: this.#nodes, labels: this.#labels, policies: this.#policies, variablesOfArgs: this.#variablesOfArgs, targets: [plannedImage(target)] }
  }

  async #lowerStage(index: number): Promise<StageState> {
    const resolved = this.#prepared.stages[index]
    if (resolved === undefined) throw new TypeError(`there is no stage ${index}`)
    const { state: first, triggers } = await this.#openStage(resolved)
    const { source } = this.#options.dockerfile
    let state = first
    for (const trigger of triggers) state = await this.#lower(state, { instruction: parseOnbuildTrigger(trigger), source: { name: 'ONBUILD', text: trigger }, index })
    for (const instruction of resolved.stage.instructions) state = await this.#lower(state, { instruction, source, index })
    this.#nameSteps(resolved, state)
    return state
  }

  async #openStage({ stage, from, references, base }: ResolvedStage): Promise<{ state: StageState; triggers: readonly string[] }> {
    const { global } = this.#prepared
    const { dockerfile, buildPlatform } = this.#options
    const place = { source: dockerfile.source, range: (stage.from.platform ?? stage.from.base).range }
    const platform = from.platform === undefined
      ? this.#options.platform
      : parsePlatformFlag({ text: from.platform.text, used: references.used, unset: references.unset }, { base: buildPlatform, known: global.variables.keys() }, place)
    if (base.kind === 'stage') {
      const parent = await this.getStage(base.index)
      return { state: derivedState(parent, global), triggers: parent.config.OnBuild ?? [] }
    }
    if (base.kind === 'scratch') return { state: scratchState(global, platform), triggers: [] }
    const context = base.kind === 'context' ? this.#options.contexts.get(base.name) : undefined
    if (context !== undefined && context.kind !== 'image') return { state: { ...scratchState(global, platform), rootfs: this.#contextTree(base.name, context) }, triggers: [] }
    const image = await this.#prepared.images.resolve(context?.name ?? base.name, platform, this.#imagePlace(base.name, { source: dockerfile.source, range: stage.from.base.range }))
    const rootfs = this.#addImage(image)
    const state = imageState(image, { global, platform, rootfs })
    const label = { source: stage.from.source, place: { source: dockerfile.source, range: stage.from.range } }
    return { state: rootfs === undefined ? state : { ...state, steps: [{ node: rootfs, ...label }] }, triggers: image.config.config?.OnBuild ?? [] }
  }

  /** An image without layers is the empty root filesystem. */
  #addImage(image: BaseImage): NodeId | undefined {
    const diffIds = image.config.rootfs.diff_ids
    return diffIds.length === 0 ? undefined : this.#addNode({ kind: 'source', diffIds, image: image.name })
  }

  #addNode(node: PlanNode): NodeId {
    const id = nodeId(node)
    this.#nodes.set(id, node)
    return id
  }

  async #lower(state: StageState, { instruction: written, source, index }: { instruction: StageInstruction; source: DockerfileSource; index: number }): Promise<StageState> {
    const context = { source, directives: this.#options.dockerfile.directives }
    if (written.kind === 'ARG') {
      const declared = state.scope.declare(written, context)
      // Docker shows defaults, whatever the build was given.
      const shown = declared.map(({ name, value, origin }, at) => {
        const fallback = written.args[at]?.value
        if (fallback === undefined) return name
        return `${name}=${origin === 'build-arg' ? expandWord(fallback, state.scope.variables, context).text : value ?? ''}`
      })
      noteConfig(state, `ARG ${shown.join(' ')}`)
      return state
    }
    const { instruction } = expandInstruction(written, state.scope.variables, context)
    const add = (step: LoweredStep): StageState => this.#addStep(state, step, { instruction: written, source })
    switch (instruction.kind) {
      case 'RUN': return add(lowerRun(state, { instruction, mounts: await this.#mounts(state, instruction, { source, index }) }, source))
      case 'WORKDIR': {
        const step = lowerWorkdir(state, instruction)
        if (step.path === '/') noteConfig(state, step.createdBy)
        const next = step.path === '/' ? state : add(step)
        return { ...next, config: { ...next.config, WorkingDir: step.path } }
      }
      case 'COPY': return add(lowerCopy(state, instruction, { source, origin: await this.#copyOrigin(instruction.from?.text, { index, place: { source, range: (instruction.from ?? instruction).range } }), addNode: (node) => this.#addNode(node) }))
      case 'ADD': return add(lowerCopy(state, instruction, { source, origin: { kind: 'context' }, addNode: (node) => this.#addNode(node) }))
      default: return lowerConfig(state, instruction, source)
    }
  }

  #addStep(state: StageState, { node, createdBy }: LoweredStep, { instruction, source }: { instruction: StageInstruction; source: DockerfileSource }): StageState {
    const id = this.#addNode(node)
    if (node.kind === 'run' && state.scope.variablesOfArgs.size > 0) this.#variablesOfArgs.set(id, new Set(state.scope.variablesOfArgs))
    const policy = parseStepPolicy(instruction, source)
    if (policy !== noPolicy) for (const each of [id, ...remoteSources(node)]) this.#policies.set(each, policy)
    const label = { source: instruction.source, place: { source, range: instruction.range } }
    state.history.push({ createdBy, comment: 'tsbuild.dockerfile.v0', node: id })
    state.steps.push({ node: id, ...label })
    return { ...state, rootfs: id }
  }

  #mounts(state: StageState, instruction: RunInstruction, { source, index }: { source: DockerfileSource; index: number }): Promise<PlannedMount[]> {
    return lowerMounts(state, instruction, {
      expand: { source, directives: this.#options.dockerfile.directives },
      cacheNamespace: this.#options.buildArgs.get('BUILDKIT_CACHE_MOUNT_NS') ?? '',
      origin: (from) => this.#copyOrigin(from, { index, place: { source, range: instruction.range } }),
    })
  }

  async #copyOrigin(from: string | undefined, { index, place }: { readonly index: number; readonly place: Place }): Promise<CopyOrigin> {
    if (from === undefined) return { kind: 'context' }
    const source = this.#findUse(from, index)
    const isFolder = source.kind === 'context' && this.#options.contexts.get(source.name)?.kind === 'folder'
    return isFolder ? { kind: 'context', name: source.name } : { kind: 'node', node: await this.#rootfsOf(source, place) }
  }

  /** What `--from` means was said when the stages were resolved, but for that of triggers. */
  #findUse(from: string, index: number): StageSource {
    const resolved = this.#prepared.stages[index]
    if (resolved === undefined) throw new TypeError(`there is no stage ${index}`)
    const use = resolved.uses.find((known) => known.name === from)
    return use?.source ?? resolveTriggerUse(this.#options.dockerfile, new Set(this.#options.contexts.keys()), { name: from, stage: resolved.stage })
  }

  async #rootfsOf(source: StageSource, place: Place): Promise<NodeId | undefined> {
    if (source.kind === 'scratch') return undefined
    if (source.kind === 'stage') return (await this.getStage(source.index)).rootfs
    const context = source.kind === 'context' ? this.#options.contexts.get(source.name) : undefined
    if (context !== undefined && context.kind !== 'image') return this.#contextTree(source.name, context)
    return this.#addImage(await this.#prepared.images.resolve(context?.name ?? source.name, this.#options.platform, this.#imagePlace(source.name, place)))
  }

  #imagePlace(name: string, place: Place): ImagePlace {
    return { ...place, nearestStage: () => nearestStage(this.#options.dockerfile, name) }
  }

  /** A context that is no image, as a root filesystem. */
  #contextTree(name: string, context: Exclude<NamedContext, { kind: 'image' }>): NodeId {
    switch (context.kind) {
      case 'git': return this.#addNode(lowerGit(context.reference))
      case 'folder': return this.#addNode(contextCopy({ kind: 'context', name }, { kind: 'path', pattern: '/' }))
      case 'http': return this.#addNode(contextCopy({ kind: 'context' }, { kind: 'remote', node: this.#addNode(lowerHttp(context.url)), isFile: true }))
    }
  }

  /** Numbers the steps; a step two stages share keeps its first name. */
  #nameSteps({ stage }: ResolvedStage, { steps }: StageState): void {
    const name = stage.name ?? `stage-${stage.index}`
    for (const [at, { node, source, place }] of steps.entries()) {
      const made = this.#nodes.get(node)
      for (const id of [...made === undefined ? [] : remoteSources(made), node]) {
        if (!this.#labels.has(id)) this.#labels.set(id, { stage: name, step: at + 1, steps: steps.length, source, place })
      }
    }
  }
}

/** What an ADD fetches, in steps of their own that go by its name. */
function remoteSources(node: PlanNode): NodeId[] {
  return node.kind === 'copy' ? node.sources.flatMap((source) => source.kind === 'remote' ? source.node : []) : []
}
