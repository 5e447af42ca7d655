import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { evaluateGlobalArgs, StageScope } from '../../builder/dockerfile/arg-scope.ts'
import { DockerfileError } from '../../builder/dockerfile/errors.ts'
import { excerptOf } from '../../builder/dockerfile/excerpt.ts'
import { expandInstruction } from '../../builder/dockerfile/expand/instruction.ts'
import type { Dockerfile, Instruction, SourceRange } from '../../builder/dockerfile/instruction.ts'
import { lintDockerfile } from '../../builder/dockerfile/lint/lint.ts'
import { parseDockerfile } from '../../builder/dockerfile/parse.ts'
import { resolveStages } from '../../builder/dockerfile/stage-graph.ts'
import { trimmedEnd } from '../../builder/dockerfile/syntax/space.ts'
import { parseRunMount } from '../../builder/dockerfile/values/run-mount.ts'

/** Numbers from 0 up to but not `limit`, the same for the same seed on every machine (xorshift). */
export function createRandom(seed: number): (limit: number) => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1
  return (limit) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

const tokens: readonly string[] = [
  'FROM ', 'RUN ', 'COPY ', 'ADD ', 'ENV ', 'ARG ', 'LABEL ', 'ONBUILD ', 'HEALTHCHECK ', 'EXPOSE ', 'VOLUME ', 'USER ', 'SHELL ', 'CMD ', 'STOPSIGNAL ', 'WORKDIR ',
  '\n', '\r\n', '\\\n', '\\', '`', '`\n', '"', "'", '$', '${', '}', ':-', ':?', '##', '%%', '//', '*', '?', '[', ']', '["', '",', '<<', '<<-', '<<EOF', 'EOF\n', '\nEOF\n', '#', '# ', '\n#',
  '--', '--mount=', 'type=cache,target=', '--from=', '--chmod=', '--platform=', '=', ' ', '\t', '\u00a0', '\u0085', '\ufeff', '\0', '\u{1f600}', '\ud800', ' AS ', 'scratch', '0', '-1', ',', ';', ':',
  '# escape=`\n', '# syntax=docker/dockerfile:1\n', '# check=skip=all\n', '# tsbuild: memory=1g\n', '$((', '))', '/./', '**', '!', '__proto__', 'constructor', '\n\n',
]

/** Files to begin with: the golden cases that can be read, which changes then break. */
export function readCorpus(): string[] {
  const folder = join(import.meta.dirname, '../../testdata/dockerfile')
  const cases = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return cases.map(({ name }) => readFileSync(join(folder, name, 'Dockerfile'), 'utf8')).filter((text) => attempt(() => parseDockerfile({ name: '', text })) !== undefined)
}

/** One file of the corpus with a few changes: bytes, tokens, pieces moved, and pieces of other files. */
export function mutate(corpus: readonly string[], random: (limit: number) => number): string {
  let text = pick(corpus, random)
  for (let changes = 1 + random(4); changes > 0; changes -= 1) {
    const at = random(text.length + 1)
    const length = random(12)
    const kind = random(7)
    if (kind === 0) text = text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1)
    else if (kind === 1) text = text.slice(0, at) + text.slice(at + length)
    else if (kind === 2) text = text.slice(0, at) + text.slice(at, at + length).repeat(1 + random(4)) + text.slice(at + length)
    else if (kind === 3) text = text.slice(0, at) + pieceOf(pick(corpus, random), random) + text.slice(at)
    else text = text.slice(0, at) + pick(tokens, random) + text.slice(at)
  }
  return text.slice(0, 4096)
}

function pick(list: readonly string[], random: (limit: number) => number): string {
  return list[random(list.length)] ?? ''
}

function pieceOf(text: string, random: (limit: number) => number): string {
  const start = random(text.length + 1)
  return text.slice(start, start + random(60))
}

const variables = new Map([['a', 'foo.tar.gz'], ['b', ''], ['x', '1'], ['c', '$a "q"'], ['VERSION', '1.2']])
const platform = { os: 'linux', architecture: 'amd64' }
const inputs = { buildArgs: new Map([['x', '2']]), platformArgs: new Map([['TARGETARCH', 'amd64']]) }

/**
 * Does to a text what a build does before it needs anything else, and checks what must hold: it is read, or refused
 * with a place inside it; read again from what was understood it is understood alike.
 */
export function exercise(text: string): 'read' | 'refused' {
  const dockerfile = attempt(() => parseDockerfile({ name: 'Dockerfile', text }))
  if (dockerfile === undefined) return 'refused'
  checkFixpoint(dockerfile)
  attempt(() => { followStages(dockerfile) })
  attempt(() => lintDockerfile(dockerfile, { args: inputs, target: undefined, contexts: new Set(), bases: new Map(), ignore: undefined, platforms: { build: platform, target: platform } }))
  return 'read'
}

function followStages(dockerfile: Dockerfile): void {
  const global = evaluateGlobalArgs(dockerfile, inputs)
  for (const { stage } of resolveStages(dockerfile, global)) {
    const scope = new StageScope(global, [...variables].map(([name, value]) => `${name}=${value}`))
    for (const instruction of stage.instructions) {
      expandInstruction(instruction, scope.variables, dockerfile)
      if (instruction.kind === 'ARG') scope.declare(instruction, dockerfile)
      if (instruction.kind === 'RUN') for (const mount of instruction.mounts) parseRunMount(mount, scope.variables, dockerfile)
    }
  }
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error
    checkRange(error.source.text, error.range)
    excerptOf(error)
    return undefined
  }
}

function checkRange(text: string, { startLine, startColumn, endLine, endColumn }: SourceRange): void {
  const lines = text.split('\n')
  const isInside = startLine >= 1 && endLine <= lines.length && startColumn >= 0 && endColumn <= (lines[endLine - 1]?.length ?? -1)
  const isForward = startLine < endLine || (startLine === endLine && startColumn <= endColumn)
  if (!isInside || !isForward) throw new Error(`range ${startLine}:${startColumn}-${endLine}:${endColumn} is not inside the text`)
}

/** The file as understood, without comments and continuations. */
export function print({ directives, globalArgs, stages }: Dockerfile): string {
  const instructions: Instruction[] = [...globalArgs, ...stages.flatMap<Instruction>(({ from, instructions: rest }) => [from, ...rest])]
  const head = directives.escape === '`' ? '# escape=`\n' : ''
  // An escape character is no continuation when something other than blanks follows it, if only a vertical tab.
  const guard = (source: string): string => source.endsWith(directives.escape) ? '\v' : ''
  return head + instructions.map((instruction) => `${instruction.source}${guard(instruction.source)}\n${bodiesOf(instruction)}`).join('')
}

function bodiesOf(instruction: Instruction): string {
  if (instruction.kind === 'RUN' && instruction.command.form === 'shell') return instruction.command.heredocs.map(({ name, rawContent }) => `${rawContent}${name}\n`).join('')
  if (instruction.kind === 'ADD' || instruction.kind === 'COPY') return instruction.sources.map((source) => source.kind === 'heredoc' ? `${source.heredoc.rawContent}${source.heredoc.name}\n` : '').join('')
  if (instruction.kind !== 'ONBUILD' || !instruction.trigger.includes('\n')) return ''
  return `${instruction.trigger.slice(instruction.trigger.indexOf('\n') + 1)}\n`
}

function checkFixpoint(dockerfile: Dockerfile): void {
  const printed = print(dockerfile)
  const again = parseDockerfile({ name: 'Dockerfile', text: printed })
  for (const [one, other] of [[dockerfile.globalArgs, again.globalArgs], [dockerfile.stages, again.stages]] as const) {
    const [before, after] = [meaning(one), meaning(other)]
    if (before !== after) throw new Error(`printed and read again\n${printed}\nmeans\n${after}\nnot\n${before}`)
  }
}

/** Without places, and without the blanks at the end of a line that a trigger keeps. */
function meaning(value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (key === 'trigger' && typeof inner === 'string') return inner.replace(/^[^\n]*/u, (line) => line.slice(0, trimmedEnd(line, 0)))
    return key === 'range' || key === 'comments' ? undefined : inner
  })
}
