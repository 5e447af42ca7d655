import type { GlobalScope } from './arg-scope.ts'
import type { Place } from './errors.ts'
import { DockerfileError, quote } from './errors.ts'
import type { References } from './expand/expand.ts'
import { expandInstruction } from './expand/instruction.ts'
import type { CopyInstruction, Dockerfile, FromInstruction, RunInstruction, SourceRange, Stage, Word } from './instruction.ts'
import { findNearest } from '../../core/nearest.ts'
import { readMountFrom } from './values/run-mount.ts'

/** What a name in FROM, `COPY --from` or `RUN --mount=from=` means. */
export type StageSource =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'context'; readonly name: string }
  | { readonly kind: 'image'; readonly name: string }

export interface StageUse {
  /** As written. */
  readonly name: string
  readonly source: StageSource
  readonly instruction: CopyInstruction | RunInstruction
  readonly range: SourceRange
  /** What is wrong with it, which matters only if the stage is built. */
  readonly problem?: DockerfileError
}

export interface ResolvedStage {
  readonly stage: Stage
  /** With its variables replaced. */
  readonly from: FromInstruction
  /** The names its FROM line read. */
  readonly references: References
  readonly base: StageSource
  readonly uses: readonly StageUse[]
}

/**
 * Says what every stage is built on and copies from. A named context beats a stage, a stage beats an image, and only
 * earlier stages can be named; FROM looks no further than that, so `FROM a AS a` is the image.
 * `contexts` are normalized names.
 * @throws {DockerfileError} for an empty base, a stage that is not earlier, or a stage number that does not exist
 */
export function resolveStages(dockerfile: Dockerfile, global: GlobalScope, contexts: ReadonlySet<string> = new Set()): ResolvedStage[] {
  const resolver = new Resolver(dockerfile, contexts)
  return dockerfile.stages.map((stage) => {
    const { instruction: from, ...references } = expandInstruction(stage.from, global.variables, dockerfile)
    const place = { source: dockerfile.source, range: from.base.range }
    if (from.base.text === '') {
      const [unset] = references.unset
      throw new DockerfileError(place, {
        rule: 'stage',
        problem: `the base ${quote(stage.from.base.text)} is empty`,
        remedy: unset === undefined ? undefined : `give ${unset} a value: ARG ${unset}=… before the first FROM, or --build-arg ${unset}=…`,
        suggestion: unset === undefined ? undefined : findNearest(unset, global.variables.keys()),
      })
    }
    return { stage, from, references, base: resolver.resolveBase(from.base.text, stage), uses: resolver.resolveUses(stage) }
  })
}

/** What a name in a trigger means, which is read where it fires: the names of that file. @throws {DockerfileError} */
export function resolveTriggerUse(dockerfile: Dockerfile, contexts: ReadonlySet<string>, { name, stage }: { readonly name: string; readonly stage: Stage }): StageSource {
  return new Resolver(dockerfile, contexts).resolveTrigger(name, stage)
}

/** The name a context is found by: an image by its short name, a stage in small letters. */
export function normalizeContextName(name: string): string {
  return name.toLowerCase().replace(/^docker\.io\/(?:library\/)?/u, '').replace(/:latest$/u, '')
}

/** The stage to build: the last one, or that of a name or number. @throws {DockerfileError} */
export function findTarget(dockerfile: Dockerfile, target: string | undefined): number {
  const { stages, source } = dockerfile
  if (target === undefined) return stages.length - 1
  const byName = stages.findLast(({ name }) => name === target.toLowerCase())
  if (byName !== undefined) return byName.index
  const byNumber = /^\d{1,9}$/u.test(target) ? stages[Number(target)] : undefined
  if (byNumber !== undefined) return byNumber.index
  const names = stages.map(({ name }) => name).filter((name) => name !== undefined)
  const last = stages.at(-1)?.from.range ?? { startLine: 1, startColumn: 0, endLine: 1, endColumn: 0 }
  throw new DockerfileError({ source, range: last }, {
    rule: 'stage',
    problem: `there is no stage ${quote(target)}`,
    remedy: names.length === 0 ? 'no stage of this file has a name' : `the stages are ${names.slice(0, 20).join(', ')}`,
    suggestion: findNearest(target, names),
  })
}

/** The stage that may have been meant where there is no image of this name. */
export function nearestStage(dockerfile: Dockerfile, name: string): string | undefined {
  const names = dockerfile.stages.flatMap((stage) => stage.name ?? [])
  return names.find((each) => each.toLowerCase() === name.toLowerCase()) ?? findNearest(name, names)
}

/** The target and all stages it needs, directly or not, as indexes. @throws {DockerfileError} where one of them names a stage it cannot */
export function reachableStages(stages: readonly ResolvedStage[], target: number): Set<number> {
  const reachable = new Set<number>()
  const pending = [target]
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    const stage = stages[index]
    if (stage === undefined || reachable.has(index)) continue
    reachable.add(index)
    const problem = stage.uses.find((use) => use.problem !== undefined)?.problem
    if (problem !== undefined) throw problem
    for (const source of [stage.base, ...stage.uses.map((use) => use.source)]) if (source.kind === 'stage') pending.push(source.index)
  }
  return reachable
}

class Resolver {
  readonly #dockerfile: Dockerfile
  readonly #contexts: ReadonlySet<string>
  readonly #indexes = new Map<string, number[]>()

  constructor(dockerfile: Dockerfile, contexts: ReadonlySet<string>) {
    this.#dockerfile = dockerfile
    this.#contexts = contexts
    for (const { name, index } of dockerfile.stages) {
      if (name === undefined) continue
      const indexes = this.#indexes.get(name)
      if (indexes === undefined) this.#indexes.set(name, [index])
      else indexes.push(index)
    }
  }

  resolveBase(name: string, stage: Stage): StageSource {
    const override = stage.name === undefined ? undefined : this.#context(stage.name)
    if (override !== undefined) return override
    const index = this.#lastBefore(name, stage.index)
    if (index !== undefined) return { kind: 'stage', index }
    return this.#external(name)
  }

  resolveUses(stage: Stage): StageUse[] {
    const { source } = this.#dockerfile
    return stage.instructions.flatMap((instruction): StageUse[] => {
      if (instruction.kind === 'COPY' && instruction.from !== undefined) {
        return [{ ...this.#use(instruction.from, stage, true), instruction, range: instruction.from.range }]
      }
      if (instruction.kind !== 'RUN') return []
      return instruction.mounts.flatMap(({ text, range }) => {
        const name = readMountFrom(text, { source, range })
        return name === undefined ? [] : [{ ...this.#use({ text: name, range }, stage, false), instruction, range }]
      })
    })
  }

  resolveTrigger(name: string, stage: Stage): StageSource {
    return this.#resolveUse({ text: name, range: stage.from.range }, stage, true)
  }

  /** A stage that is never built may name one that comes later. */
  #use(word: Word, stage: Stage, allowsNumber: boolean): Pick<StageUse, 'name' | 'source' | 'problem'> {
    try {
      return { name: word.text, source: this.#resolveUse(word, stage, allowsNumber) }
    } catch (error) {
      if (!(error instanceof DockerfileError) || /^\d+$/u.test(word.text)) throw error
      return { name: word.text, source: this.#external(word.text), problem: error }
    }
  }

  /** Mounts know stages by name only. */
  #resolveUse({ text, range }: Word, stage: Stage, allowsNumber: boolean): StageSource {
    const place = { source: this.#dockerfile.source, range }
    const context = this.#context(text)
    if (context !== undefined) return context
    if (allowsNumber && /^\d+$/u.test(text)) return { kind: 'stage', index: this.#earlier(Number(text), stage, place) }
    const index = this.#lastBefore(text, stage.index) ?? this.#indexes.get(text.toLowerCase())?.[0]
    if (index !== undefined) return { kind: 'stage', index: this.#earlier(index, stage, place) }
    return this.#external(text)
  }

  #context(name: string): StageSource | undefined {
    const normalized = normalizeContextName(name)
    return this.#contexts.has(normalized) ? { kind: 'context', name: normalized } : undefined
  }

  #earlier(index: number, stage: Stage, place: Place): number {
    if (index < stage.index) return index
    const { stages } = this.#dockerfile
    const isUnknown = index >= stages.length
    throw new DockerfileError(place, {
      rule: 'stage',
      problem: isUnknown ? `there is no stage ${index}, the last is ${stages.length - 1}` : index === stage.index ? 'a stage cannot copy from itself' : 'the stage comes later in the file',
      remedy: isUnknown || index === stage.index ? undefined : 'move it above this one',
    })
  }

  #lastBefore(name: string, before: number): number | undefined {
    return this.#indexes.get(name.toLowerCase())?.findLast((index) => index < before)
  }

  #external(name: string): StageSource {
    return this.#context(name) ?? (name === 'scratch' ? { kind: 'scratch' } : { kind: 'image', name })
  }
}
