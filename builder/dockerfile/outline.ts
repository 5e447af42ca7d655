import type { ArgDeclaration, ArgInputs } from './arg-scope.ts'
import { evaluateGlobalArgs, StageScope } from './arg-scope.ts'
import type { References } from './expand/expand.ts'
import { ReferenceCollector } from './expand/expand.ts'
import type { ArgInstruction, Dockerfile, FromInstruction, SourceRange, Stage, Word } from './instruction.ts'
import { findTarget, reachableStages, resolveStages } from './stage-graph.ts'
import { parseRunMount } from './values/run-mount.ts'

/** A stage as `--call=targets` lists it. */
export interface TargetListing {
  readonly name: string | undefined
  readonly index: number
  readonly isDefault: boolean
  /** As written. */
  readonly base: string
  readonly platform: string | undefined
  readonly description: string | undefined
  readonly range: SourceRange
}

/** What can be given to a build of one target, as `--call=outline` lists it. */
export interface Outline {
  readonly target: { readonly name: string | undefined; readonly index: number; readonly description: string | undefined }
  readonly args: readonly OutlineArg[]
  readonly secrets: readonly OutlineMount[]
  readonly ssh: readonly OutlineMount[]
}

export interface OutlineArg {
  readonly name: string
  /** What it would be in this build; undefined: no value. */
  readonly value: string | undefined
  readonly description: string | undefined
  readonly range: SourceRange
}

export interface OutlineMount {
  readonly id: string
  readonly isRequired: boolean
  readonly range: SourceRange
}

export function listTargets({ stages }: Dockerfile): TargetListing[] {
  return stages.map(({ index, name, from }) => ({
    name,
    index,
    isDefault: index === stages.length - 1,
    base: from.base.text,
    platform: from.platform?.text,
    description: describeStage(from),
    range: from.range,
  }))
}

/**
 * Everything the stages that a target needs take: arguments by their first declaration in use, secrets, ssh agents.
 * @throws {DockerfileError} where the build would
 */
export function outlineTarget(dockerfile: Dockerfile, targetName: string | undefined, inputs: ArgInputs): Outline {
  const global = evaluateGlobalArgs(dockerfile, inputs)
  const stages = resolveStages(dockerfile, global)
  const target = findTarget(dockerfile, targetName)
  const reachable = reachableStages(stages, target)
  const collector = new OutlineCollector(dockerfile)
  const scopes = new Map<number, StageScope>()
  for (const { stage, base, references } of stages) {
    if (!reachable.has(stage.index)) continue
    collector.use(references)
    const scope = new StageScope(global, [], base.kind === 'stage' ? scopes.get(base.index) : undefined)
    collector.collectStage(stage, scope)
    scopes.set(stage.index, scope)
  }
  collector.addGlobals(global.declarations)
  const from = dockerfile.stages[target]?.from
  return {
    target: { name: dockerfile.stages[target]?.name, index: target, description: from === undefined ? undefined : describeStage(from) },
    args: inOrder(collector.args.values()),
    secrets: inOrder(collector.secrets.values()),
    ssh: inOrder(collector.ssh.values()),
  }
}

class OutlineCollector {
  readonly args = new Map<string, OutlineArg>()
  readonly secrets = new Map<string, OutlineMount>()
  readonly ssh = new Map<string, OutlineMount>()
  readonly #dockerfile: Dockerfile
  readonly #used = new ReferenceCollector()
  readonly #globalNames: ReadonlySet<string>

  constructor(dockerfile: Dockerfile) {
    this.#dockerfile = dockerfile
    this.#globalNames = new Set(dockerfile.globalArgs.flatMap(({ args }) => args.map(({ name }) => name.text)))
  }

  use(references: References): void {
    this.#used.add(references)
  }

  collectStage(stage: Stage, scope: StageScope): void {
    for (const instruction of stage.instructions) {
      if (instruction.kind === 'ENV') for (const { name, value } of instruction.pairs) scope.setEnv(name.text, value.text)
      if (instruction.kind === 'RUN') for (const mount of instruction.mounts) this.#collectMount(mount, scope)
      if (instruction.kind !== 'ARG') continue
      for (const [index, declaration] of scope.declare(instruction, this.#dockerfile).entries()) {
        const isBare = instruction.args[index]?.value === undefined
        if (isBare && this.#globalNames.has(declaration.name)) this.#used.used.add(declaration.name)
        else this.#addArg(declaration, instruction)
      }
    }
  }

  /** Global arguments count when something reads them: FROM, a bare ARG of a stage, or the default of one that counts. */
  addGlobals(declarations: readonly ArgDeclaration[]): void {
    const instructions = this.#dockerfile.globalArgs.flatMap((instruction) => instruction.args.map(() => instruction))
    for (const [index, declaration] of [...declarations.entries()].reverse()) {
      const instruction = instructions[index]
      if (instruction === undefined || !this.#used.used.has(declaration.name)) continue
      this.#addArg(declaration, instruction)
      this.#used.add(declaration)
    }
  }

  #addArg({ name, value, range }: ArgDeclaration, instruction: ArgInstruction): void {
    if (!this.args.has(name)) this.args.set(name, { name, value, range, description: describe(instruction.comments, name) })
  }

  #collectMount(word: Word, scope: StageScope): void {
    const { mount } = parseRunMount(word, scope.variables, this.#dockerfile)
    if (mount.type !== 'secret' && mount.type !== 'ssh') return
    const found = mount.type === 'secret' ? this.secrets : this.ssh
    const earlier = found.get(mount.id)
    found.set(mount.id, { id: mount.id, isRequired: mount.isRequired || earlier?.isRequired === true, range: earlier?.range ?? word.range })
  }
}

function describeStage(from: FromInstruction): string | undefined {
  return from.name === undefined ? undefined : describe(from.comments, from.name.text.toLowerCase())
}

/** What follows the name in the comment above that begins with it. */
function describe(comments: readonly Word[], name: string): string | undefined {
  const comment = comments.find(({ text }) => text.startsWith(`${name} `))
  return comment?.text.slice(name.length).trim()
}

function inOrder<T extends { readonly range: SourceRange }>(items: Iterable<T>): T[] {
  return [...items].sort(({ range: one }, { range: other }) => one.startLine - other.startLine || one.startColumn - other.startColumn)
}
