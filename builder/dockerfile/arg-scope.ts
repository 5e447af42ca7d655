import type { Platform } from '../../oci/platform.ts'
import { formatPlatform, normalizePlatform } from '../../oci/platform.ts'
import type { ExpandContext, References } from './expand/expand.ts'
import { expandWord } from './expand/expand.ts'
import type { ArgInstruction, Dockerfile, SourceRange } from './instruction.ts'

/** What the build brings along, whatever the Dockerfile says. */
export interface ArgInputs {
  readonly buildArgs: ReadonlyMap<string, string>
  /** See `platformArgs`. */
  readonly platformArgs: ReadonlyMap<string, string>
}

/** One name of an ARG and what became of it. */
export interface ArgDeclaration extends References {
  readonly name: string
  /** undefined: declared only. That differs from empty. */
  readonly value: string | undefined
  readonly origin: 'build-arg' | 'default' | 'global' | 'none'
  readonly range: SourceRange
}

/** What FROM lines see, and what a bare ARG in a stage takes its value from. */
export interface GlobalScope {
  readonly variables: ReadonlyMap<string, string>
  readonly declarations: readonly ArgDeclaration[]
  readonly inputs: ArgInputs
}

/** The variables that exist globally without an ARG, but in a stage only behind one. `targetStage` is what --target names. */
export function platformArgs({ build, target, targetStage }: { readonly build: Platform; readonly target: Platform; readonly targetStage: string | undefined }): Map<string, string> {
  const args = new Map<string, string>()
  for (const [prefix, given] of [['BUILD', build], ['TARGET', target]] as const) {
    const platform = normalizePlatform(given)
    args.set(`${prefix}PLATFORM`, formatPlatform(platform))
    args.set(`${prefix}OS`, platform.os)
    args.set(`${prefix}OSVERSION`, platform['os.version'] ?? '')
    args.set(`${prefix}ARCH`, platform.architecture)
    args.set(`${prefix}VARIANT`, platform.variant ?? '')
  }
  args.set('TARGETSTAGE', targetStage ?? 'default')
  return args
}

const proxyNames: readonly string[] = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY']

/** True for the arguments that RUN gets without an ARG. */
export function isProxyArg(name: string): boolean {
  return proxyNames.includes(name.toUpperCase())
}

/** What RUN gets of the build arguments without an ARG, in both spellings; in neither history nor cache key. */
export function proxyVariables(buildArgs: ReadonlyMap<string, string>): Map<string, string> {
  const variables = new Map<string, string>()
  for (const [name, value] of [...buildArgs].sort(([one], [other]) => (one < other ? -1 : 1))) {
    if (!isProxyArg(name)) continue
    variables.set(name.toUpperCase(), value)
    variables.set(name.toLowerCase(), value)
  }
  return variables
}

/**
 * Evaluates the ARGs before the first FROM, in order, each seeing those before it.
 * @throws {DockerfileError} when a default does not expand
 */
export function evaluateGlobalArgs(dockerfile: Dockerfile, inputs: ArgInputs): GlobalScope {
  const variables = new Map(inputs.platformArgs)
  for (const name of variables.keys()) variables.set(name, inputs.buildArgs.get(name) ?? variables.get(name) ?? '')
  const declarations = dockerfile.globalArgs.flatMap((instruction) => declareArgs(instruction, { variables, buildArgs: inputs.buildArgs, global: undefined }, dockerfile))
  return { variables, declarations, inputs }
}

/** Not variables although they are ARGs: they speak to the builder. */
const builderArgs: readonly string[] = ['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']

/**
 * The variables of one stage while its instructions are gone through. An ARG and an ENV of one name write the same
 * variable: the later one counts, in expansion and in RUN alike. (The reference says that ENV always wins; BuildKit
 * and so every current Docker do not do that. What the image keeps is ENV alone.)
 */
export class StageScope {
  readonly #global: GlobalScope
  readonly #variables: Map<string, string>
  readonly #declarations: ArgDeclaration[]
  readonly #declared: Set<string>
  readonly #ofArgs: Set<string>

  /** Opens a stage on an image with the given `Env`, or, with `base`, on a stage of the same file. */
  constructor(global: GlobalScope, env: readonly string[], base?: StageScope) {
    this.#global = global
    this.#variables = new Map(base?.variables)
    this.#declarations = [...base?.declarations ?? []]
    this.#declared = new Set(this.#declarations.map(({ name }) => name))
    this.#ofArgs = new Set(base?.variablesOfArgs)
    for (const entry of env) {
      const equals = entry.indexOf('=')
      this.#variables.set(equals === -1 ? entry : entry.slice(0, equals), equals === -1 ? '' : entry.slice(equals + 1))
    }
  }

  /** Live: what it holds changes with `declare` and `setEnv`. */
  get variables(): ReadonlyMap<string, string> {
    return this.#variables
  }

  /** Every ARG so far, those of the base stage first. */
  get declarations(): readonly ArgDeclaration[] {
    return this.#declarations
  }

  isDeclared(name: string): boolean {
    return this.#declared.has(name)
  }

  /** Live: the variables that have their value from an ARG and not from an ENV. */
  get variablesOfArgs(): ReadonlySet<string> {
    return this.#ofArgs
  }

  setEnv(name: string, value: string): void {
    this.#variables.set(name, value)
    this.#ofArgs.delete(name)
  }

  /**
   * Takes an ARG: the build argument, else the default, else the global value. A name without any of them is declared
   * and keeps the value it may have.
   * @throws {DockerfileError} when a default that counts does not expand
   */
  declare(instruction: ArgInstruction, context: ExpandContext): ArgDeclaration[] {
    const declared = declareArgs(instruction, { variables: this.#variables, buildArgs: this.#global.inputs.buildArgs, global: this.#global.variables }, context)
    for (const declaration of declared) {
      this.#declarations.push(declaration)
      this.#declared.add(declaration.name)
      if (declaration.value !== undefined) this.#ofArgs.add(declaration.name)
    }
    return declared
  }

  /** The names and values that a RUN shows in history: every declared argument once, with what the variable holds now. */
  historyArgs(): readonly (readonly [name: string, value: string])[] {
    const values = new Map<string, string>()
    for (const { name, value } of this.#declarations) values.set(name, this.#variables.get(name) ?? value ?? '')
    return [...values]
  }
}

interface Target {
  readonly variables: Map<string, string>
  readonly buildArgs: ReadonlyMap<string, string>
  readonly global: ReadonlyMap<string, string> | undefined
}

/** Each argument sees those before it, on the same line too. */
function declareArgs(instruction: ArgInstruction, target: Target, context: ExpandContext): ArgDeclaration[] {
  return instruction.args.map((arg) => {
    const declaration = declareArg(arg, target, context)
    const isVariable = target.global === undefined || !builderArgs.includes(declaration.name)
    if (declaration.value !== undefined && isVariable) target.variables.set(declaration.name, declaration.value)
    return declaration
  })
}

function declareArg({ name: { text: name, range }, value }: ArgInstruction['args'][number], { variables, buildArgs, global }: Target, context: ExpandContext): ArgDeclaration {
  const none = { used: new Set<string>(), unset: new Set<string>() }
  const given = buildArgs.get(name)
  if (given !== undefined) return { name, range, value: given, origin: 'build-arg', ...none }
  if (value !== undefined) {
    const { text, used, unset } = expandWord(value, variables, context)
    return { name, range, value: text, origin: 'default', used, unset }
  }
  const inherited = global?.get(name)
  return { name, range, value: inherited, origin: inherited === undefined ? 'none' : 'global', ...none }
}
