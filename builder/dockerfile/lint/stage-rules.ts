import { cleanPath } from '../../context/ignore-pattern.ts'
import { StageScope } from '../arg-scope.ts'
import type { References } from '../expand/expand.ts'
import { ReferenceCollector } from '../expand/expand.ts'
import { expandInstruction } from '../expand/instruction.ts'
import type {
  AddInstruction, CmdInstruction, CopyInstruction, EntrypointInstruction, ExposeInstruction, HealthcheckInstruction, Instruction, KeyValue, SourceRange, StageInstruction, WorkdirInstruction,
} from '../instruction.ts'
import type { ResolvedStage } from '../stage-graph.ts'
import { parsePortSpec } from '../values/ports.ts'
import { parseRunMount } from '../values/run-mount.ts'
import type { BaseFacts, LintContext } from './facts.ts'
import { writtenKeyword } from './file-rules.ts'
import { variableLocator } from './locate-variable.ts'

/** What a stage hands on to stages built on it. */
interface StageEnd {
  readonly scope: StageScope
  /** False where the base image's environment is not known, so that no variable can be called undefined. */
  readonly isKnown: boolean
  readonly hasShell: boolean
  readonly hasWorkdir: boolean
  readonly env: ReadonlyMap<string, string>
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** Read by the builder although nothing defines them. */
const builderVariables: readonly string[] = ['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']

/** The checks that follow a stage from its base on, variable by variable. @throws {DockerfileError} where the build would */
export function checkStages(context: LintContext): void {
  const ends = new Map<number, StageEnd>()
  for (const stage of context.stages) {
    if (!context.checked.has(stage.stage.index)) continue
    const walk = new StageWalk(context, stage, ends)
    for (const instruction of stage.stage.instructions) walk.check(instruction)
    ends.set(stage.stage.index, walk.end())
  }
}

function startOf(image: BaseFacts | undefined, isScratch: boolean): Omit<StageEnd, 'scope'> {
  const env = new Map([['PATH', defaultPath]])
  for (const entry of image?.env ?? []) {
    const equals = entry.indexOf('=')
    env.set(equals === -1 ? entry : entry.slice(0, equals), equals === -1 ? '' : entry.slice(equals + 1))
  }
  return { env, isKnown: image !== undefined || isScratch, hasShell: image?.hasShell ?? false, hasWorkdir: false }
}

class StageWalk {
  readonly #context: LintContext
  readonly #scope: StageScope
  readonly #isKnown: boolean
  readonly #env: Map<string, string>
  readonly #once = new Map<string, SourceRange>()
  #hasShell: boolean
  #hasWorkdir: boolean

  constructor(context: LintContext, { stage, base }: ResolvedStage, ends: ReadonlyMap<number, StageEnd>) {
    const image = context.facts.bases.get(stage.index)
    const parent = base.kind === 'stage' ? ends.get(base.index) : undefined
    const start = parent ?? startOf(image, base.kind === 'scratch')
    this.#context = context
    this.#env = new Map(start.env)
    this.#scope = new StageScope(context.global, [...start.env].map(([name, value]) => `${name}=${value}`), parent?.scope)
    this.#isKnown = start.isKnown
    this.#hasShell = start.hasShell
    this.#hasWorkdir = start.hasWorkdir
  }

  end(): StageEnd {
    return { scope: this.#scope, isKnown: this.#isKnown, hasShell: this.#hasShell, hasWorkdir: this.#hasWorkdir, env: this.#env }
  }

  check(written: StageInstruction): void {
    const { dockerfile } = this.#context
    const { instruction, ...references } = expandInstruction(written, this.#scope.variables, dockerfile)
    this.#checkDefined(written, references)
    if (instruction.kind === 'CMD' || instruction.kind === 'ENTRYPOINT' || instruction.kind === 'HEALTHCHECK') this.#checkCommand(instruction)
    else if (instruction.kind === 'COPY' || instruction.kind === 'ADD') this.#checkSources(written, instruction)
    else if (instruction.kind === 'ENV' || instruction.kind === 'LABEL') this.#checkPairs(written, instruction.pairs)
    else this.#checkOther(written, instruction)
  }

  #checkOther(written: StageInstruction, instruction: StageInstruction): void {
    if (instruction.kind === 'ARG') {
      for (const { name } of instruction.args) this.#checkSecretName(written, name.text)
      for (const declaration of this.#scope.declare(instruction, this.#context.dockerfile)) this.#checkDefined(written, declaration)
    }
    if (instruction.kind === 'RUN') this.#checkMounts(instruction)
    if (instruction.kind === 'WORKDIR') this.#checkWorkdir(written, instruction)
    if (instruction.kind === 'EXPOSE') this.#checkPorts(written, instruction)
    if (instruction.kind === 'SHELL') this.#hasShell = true
  }

  #checkCommand(instruction: CmdInstruction | EntrypointInstruction | HealthcheckInstruction): void {
    this.#checkOnce(instruction)
    if (instruction.kind === 'HEALTHCHECK' || instruction.command.form === 'exec' || this.#hasShell) return
    const isMeant = /^\s*\S+\s+\[/u.test(this.#context.lines[instruction.range.startLine - 1] ?? '')
    const remedy = isMeant ? 'this is no JSON array, whose strings have double quotes' : 'write it as a JSON array'
    this.#context.reporter.report('JSONArgsRecommended', { message: `${instruction.kind} in shell form keeps signals from the program: ${remedy}`, range: instruction.range }, instruction)
  }

  #checkDefined(instruction: Instruction, { unset }: References): void {
    if (!this.#isKnown) return
    const { lines, reporter } = this.#context
    const locate = variableLocator(lines, instruction.range)
    for (const name of unset) {
      if (builderVariables.includes(name) || this.#scope.isDeclared(name)) continue
      reporter.report('UndefinedVar', { message: `$${name} is not defined`, range: locate(name), nearest: { written: name, candidates: this.#scope.variables.keys() } }, instruction)
    }
  }

  #checkPairs(written: StageInstruction, pairs: readonly KeyValue[]): void {
    for (const { name, value, hasEquals } of pairs) {
      if (!hasEquals) this.#context.reporter.report('LegacyKeyValueFormat', { message: `Write ${writtenKeyword(written)} ${name.text}=value with an equals sign`, range: written.range }, written)
      if (written.kind !== 'ENV') continue
      this.#checkSecretName(written, name.text)
      this.#scope.setEnv(name.text, value.text)
      this.#env.set(name.text, value.text)
    }
  }

  #checkSecretName(written: StageInstruction, name: string): void {
    const words = name.toLowerCase().split('_')
    if (!words.some((word) => secretWords.has(word)) || words.some((word) => harmlessWords.has(word))) return
    this.#context.reporter.report('SecretsUsedInArgOrEnv', {
      message: `${written.kind} ${name} looks like a secret, and stays readable in the image: use RUN --mount=type=secret`,
      range: written.range,
    }, written)
  }

  #checkMounts(run: Extract<StageInstruction, { kind: 'RUN' }>): void {
    const references = new ReferenceCollector()
    for (const mount of run.mounts) references.add(parseRunMount(mount, this.#scope.variables, this.#context.dockerfile))
    this.#checkDefined(run, references)
  }

  #checkSources(written: StageInstruction, instruction: CopyInstruction | AddInstruction): void {
    const { ignore } = this.#context.facts
    if (ignore === undefined || ignore.hasExceptions || (instruction.kind === 'COPY' && instruction.from !== undefined)) return
    for (const source of instruction.sources) {
      if (source.kind !== 'path' || isRemote(source.path.text)) continue
      const path = cleanPath(`/${source.path.text}`).slice(1)
      const isIgnored = path === '' ? ignore.patterns.some(({ text }) => ['*', '**', '**/*'].includes(text)) : ignore.matches(path)
      if (isIgnored) {
        this.#context.reporter.report('CopyIgnoredFile', { message: `${source.path.text} is left out by .dockerignore`, range: source.path.range }, written)
      }
    }
  }

  #checkWorkdir(written: StageInstruction, { path }: WorkdirInstruction): void {
    if (!this.#hasWorkdir && !path.text.startsWith('/')) {
      this.#context.reporter.report('WorkdirRelativePath', { message: `WORKDIR ${path.text} depends on the base image: begin with an absolute one`, range: path.range }, written)
    }
    this.#hasWorkdir = true
  }

  #checkPorts(written: StageInstruction, { ports }: ExposeInstruction): void {
    const { dockerfile: { source }, reporter } = this.#context
    for (const { text, range } of ports) {
      const { writtenProtocol, hasHostPart } = parsePortSpec(text, { source, range })
      const lower = writtenProtocol.toLowerCase()
      if (writtenProtocol !== lower) reporter.report('ExposeProtoCasing', { message: `The protocol of ${text} should be in lower case`, range, suggestion: lower }, written)
      if (hasHostPart) reporter.report('ExposeInvalidFormat', { message: `EXPOSE ${text} names an address or port of the host, which has no effect`, range }, written)
    }
  }

  /** The place is that of the one without effect. */
  #checkOnce(written: StageInstruction): void {
    const earlier = this.#once.get(written.kind)
    if (earlier !== undefined) {
      this.#context.reporter.report('MultipleInstructionsDisallowed', { message: `This ${written.kind} has no effect, since the stage has another one`, range: earlier }, written)
    }
    this.#once.set(written.kind, written.range)
  }
}

const secretWords: ReadonlySet<string> = new Set(['apikey', 'auth', 'credential', 'credentials', 'key', 'password', 'pword', 'passwd', 'secret', 'token'])
const harmlessWords: ReadonlySet<string> = new Set(['public', 'file', 'version'])

/** A download or a git repository. */
function isRemote(path: string): boolean {
  return /^(?:https?|git|ssh):\/\/|^git@/u.test(path)
}
