import { isProxyArg, StageScope } from '../arg-scope.ts'
import { DockerfileError } from '../errors.ts'
import type { CommandLine, Instruction, RunInstruction, SourceRange, StageInstruction } from '../instruction.ts'
import { parseOnbuildTrigger } from '../parse.ts'
import type { ResolvedStage } from '../stage-graph.ts'
import { parseRunMount, readMountFrom, resolveMountTarget } from '../values/run-mount.ts'
import type { LintContext } from './facts.ts'
import { everyInstruction } from './file-rules.ts'
import { findCachesLeft } from './package-caches.ts'
import { findSecrets } from './secrets.ts'

/** The checks that Docker does not have. */
export function checkOwn(context: LintContext): void {
  checkBuildArgs(context)
  checkUnusedStages(context)
  checkSecretValues(context)
  checkPackageCaches(context)
}

/** BUILDKIT_… and SOURCE_DATE_EPOCH speak to the builder, proxies to every RUN. */
function checkBuildArgs({ dockerfile, facts, stages, checked, reporter }: LintContext): void {
  const declared = new Set(dockerfile.globalArgs.flatMap(({ args }) => args.map(({ name }) => name.text)))
  for (const { stage } of stages) {
    if (!checked.has(stage.index)) continue
    for (const instruction of stage.instructions) if (instruction.kind === 'ARG') for (const { name } of instruction.args) declared.add(name.text)
  }
  for (const name of facts.args.buildArgs.keys()) {
    if (declared.has(name) || isProxyArg(name) || facts.args.platformArgs.has(name) || name.startsWith('BUILDKIT_') || name === 'SOURCE_DATE_EPOCH') continue
    reporter.report('UnusedBuildArg', { message: `--build-arg ${name} has no effect, since no ARG declares it`, range: undefined, nearest: { written: name, candidates: declared } })
  }
}

/** A stage that describes itself, `# name what it is for`, is a target of its own and needs no user. */
function checkUnusedStages({ stages, target, reporter }: LintContext): void {
  const used = new Set([target])
  const triggered = new Set<string>()
  for (const { stage, base, uses } of stages) {
    for (const source of [base, ...uses.map((use) => use.source)]) if (source.kind === 'stage') used.add(source.index)
    for (const instruction of stage.instructions) if (instruction.kind === 'ONBUILD') for (const name of triggerSources(instruction.trigger)) triggered.add(name)
  }
  for (const { stage: { index, name, from } } of stages) {
    const isDescribed = name !== undefined && from.comments.some((comment) => comment.text.split(' ', 1)[0] === name)
    if (used.has(index) || isDescribed || triggered.has(name ?? `${index}`)) continue
    reporter.report('UnusedStage', {
      message: `Nothing uses stage ${name ?? index}${name === undefined ? '' : `; if it is a target, say so in a comment above: # ${name} …`}`,
      range: from.range,
    }, from)
  }
}

/** The stages a trigger will copy or mount from, as it names them. */
function triggerSources(trigger: string): string[] {
  const instruction = findInstruction(trigger)
  if (instruction === undefined) return []
  if (instruction.kind === 'COPY') return instruction.from === undefined ? [] : [instruction.from.text.toLowerCase()]
  if (instruction.kind !== 'RUN') return []
  return instruction.mounts.flatMap(({ text, range }) => readMountFrom(text, { source: { name: 'ONBUILD', text: trigger }, range })?.toLowerCase() ?? [])
}

/** undefined where only another escape directive makes the trigger readable; images built on this one will not run it. */
function findInstruction(trigger: string): StageInstruction | undefined {
  try {
    return parseOnbuildTrigger(trigger)
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error
    return undefined
  }
}

function checkSecretValues({ dockerfile, lines, reporter }: LintContext): void {
  for (const instruction of everyInstruction(dockerfile)) {
    const { startLine, endLine } = instruction.range
    for (let number = startLine; number <= endLine; number += 1) {
      for (const { kind, start, end } of findSecrets(lines[number - 1] ?? '')) {
        const range: SourceRange = { startLine: number, startColumn: start, endLine: number, endColumn: end }
        reporter.report('SecretLikeValue', { message: `This looks like ${kind}, which everybody with the image can read: use RUN --mount=type=secret`, range }, instruction)
      }
    }
  }
}

/** Only the layers of the result count: the target and the stages it is built on. */
function checkPackageCaches(context: LintContext): void {
  const { stages, target, global, facts } = context
  const chain: ResolvedStage[] = []
  for (let stage = stages[target]; stage !== undefined; stage = stage.base.kind === 'stage' ? stages[stage.base.index] : undefined) chain.unshift(stage)
  const scope = new StageScope(global, facts.bases.get(chain[0]?.stage.index ?? -1)?.env ?? [])
  for (const { stage } of chain) for (const instruction of stage.instructions) checkPackageCache(instruction, scope, context)
}

function checkPackageCache(instruction: Instruction, scope: StageScope, { dockerfile, reporter }: LintContext): void {
  if (instruction.kind === 'ENV') for (const { name, value } of instruction.pairs) scope.setEnv(name.text, value.text)
  if (instruction.kind === 'ARG') scope.declare(instruction, dockerfile)
  if (instruction.kind !== 'RUN') return
  const mounted = mountedDirectories(instruction, scope, dockerfile)
  for (const { manager, remedy } of findCachesLeft(scriptOf(instruction.command), { mounted, variables: scope.variables })) {
    reporter.report('PackageCacheInLayer', { message: `${manager} leaves its cache in the image: ${remedy}`, range: instruction.range }, instruction)
  }
}

function mountedDirectories(run: RunInstruction, scope: StageScope, dockerfile: LintContext['dockerfile']): string[] {
  return run.mounts.flatMap((word) => {
    const { mount } = parseRunMount(word, scope.variables, dockerfile)
    if (mount.type !== 'cache' && mount.type !== 'tmpfs') return []
    return mount.target.startsWith('/') ? [resolveMountTarget(mount.target, '/', { source: dockerfile.source, range: word.range })] : []
  })
}

function scriptOf(command: CommandLine): string {
  if (command.form === 'exec') return command.args.join(' ')
  return [command.line, ...command.heredocs.map(({ content }) => content)].join('\n')
}
