import type { Task } from '../../core/task.ts'
import type { Platform } from '../../oci/platform.ts'
import type { PatternMatcher } from '../context/pattern-matcher.ts'
import { evaluateGlobalArgs, platformArgs } from '../dockerfile/arg-scope.ts'
import type { ArgInputs } from '../dockerfile/arg-scope.ts'
import type { Place } from '../dockerfile/errors.ts'
import { DockerfileError } from '../dockerfile/errors.ts'
import type { Dockerfile } from '../dockerfile/instruction.ts'
import type { BaseFacts } from '../dockerfile/lint/facts.ts'
import type { LintResult } from '../dockerfile/lint/lint.ts'
import { lintDockerfile } from '../dockerfile/lint/lint.ts'
import { findTarget, reachableStages, resolveStages } from '../dockerfile/stage-graph.ts'
import { parsePlatformFlag } from '../dockerfile/values/platform.ts'
import { StepFailed } from '../errors.ts'
import type { BaseImage, BaseImages } from '../plan/base-images.ts'
import type { LowerOptions } from '../plan/lower.ts'

export interface CheckRequest {
  readonly dockerfile: Dockerfile
  /** undefined: every stage is looked at. */
  readonly target: string | undefined
  readonly args: ArgInputs
  readonly platform: Platform
  readonly buildPlatform: Platform
  readonly contexts: ReadonlySet<string>
  readonly ignore: PatternMatcher | undefined
}

/**
 * Makes the checks of a Dockerfile, those too that need to know base images, as far as these can be had.
 * @throws {DockerfileError}
 */
export async function checkDockerfile(request: CheckRequest, images: BaseImages, task: Task): Promise<LintResult> {
  return lintDockerfile(request.dockerfile, {
    args: request.args,
    target: request.target,
    contexts: request.contexts,
    bases: await findBaseFacts(request, images, task),
    ignore: request.ignore,
    platforms: { build: request.buildPlatform, target: request.platform },
  })
}

/** What ARGs begin with; `target` is what the build names. */
export function argInputs({ buildArgs, platform, buildPlatform, target }: Pick<LowerOptions, 'buildArgs' | 'platform' | 'buildPlatform' | 'target'>): ArgInputs {
  return { buildArgs, platformArgs: platformArgs({ build: buildPlatform, target: platform, targetStage: target }) }
}

async function findBaseFacts(request: CheckRequest, images: BaseImages, task: Task): Promise<Map<number, BaseFacts>> {
  const facts = new Map<number, BaseFacts>()
  const { dockerfile } = request
  try {
    const global = evaluateGlobalArgs(dockerfile, request.args)
    const stages = resolveStages(dockerfile, global, request.contexts)
    const wanted = request.target === undefined ? new Set(stages.keys()) : reachableStages(stages, findTarget(dockerfile, request.target))
    await Promise.all(stages.filter(({ stage, base }) => wanted.has(stage.index) && base.kind === 'image').map(async ({ stage, from, base, references }) => {
      if (base.kind !== 'image') return
      const place = { source: dockerfile.source, range: stage.from.base.range }
      const platform = from.platform === undefined
        ? request.platform
        : parsePlatformFlag({ text: from.platform.text, used: references.used, unset: references.unset }, { base: request.buildPlatform, known: global.variables.keys() }, place)
      const found = await findImage(images, { name: base.name, platform, place }, task)
      if (found !== undefined) facts.set(stage.index, { env: found.config.config?.Env ?? [], hasShell: found.config.config?.Shell !== undefined, platform: found.config })
    }))
  } catch (error) {
    // What keeps the file from being built, linting says itself.
    if (!(error instanceof DockerfileError)) throw error
  }
  return facts
}

/** @returns undefined for one that cannot be had: checks that need to know it are left out */
async function findImage(images: BaseImages, { name, platform, place }: { readonly name: string; readonly platform: Platform; readonly place: Place }, task: Task): Promise<BaseImage | undefined> {
  try {
    return await images.resolve(name, platform, place)
  } catch (error) {
    task.signal.throwIfAborted()
    if (error instanceof StepFailed) return undefined
    throw error
  }
}
