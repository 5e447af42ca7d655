import type { Problem } from './errors.ts'
import { DockerfileError, quote } from './errors.ts'
import type {
  ArgInstruction, Dockerfile, DockerfileSource, FromInstruction, Heredoc, Instruction, OnbuildInstruction, SourceRange, Stage, StageInstruction,
} from './instruction.ts'
import { parseStepPolicy } from './step-policy.ts'
import { findNearest } from '../../core/nearest.ts'
import { parseCmd, parseEntrypoint, parseHealthcheck, parseRun, parseShell } from './syntax/command-line.ts'
import { parseAdd, parseCopy } from './syntax/copy.ts'
import { readDirectives } from './syntax/directives.ts'
import { parseFrom } from './syntax/from.ts'
import type { HeredocOpening } from './syntax/heredoc.ts'
import { findHeredocs, readHeredocs } from './syntax/heredoc.ts'
import { readJsonForm } from './syntax/json-form.ts'
import { parseArg, parseEnv, parseLabel } from './syntax/key-values.ts'
import { LineReader } from './syntax/line-reader.ts'
import { rangeOf } from './syntax/logical-line.ts'
import { parseExpose, parseMaintainer, parseStopsignal, parseUser, parseVolume, parseWorkdir } from './syntax/settings.ts'
import { skipSpace, trimmedEnd } from './syntax/space.ts'
import type { Statement, StatementHead } from './syntax/statement.ts'
import { keywordOf, readStatementHead, refuse, refuseWord, statementFlags } from './syntax/statement.ts'

type Keyword = Instruction['kind']

const parsers: { readonly [K in Keyword]: (statement: Statement) => Extract<Instruction, { kind: K }> } = {
  ADD: parseAdd, ARG: parseArg, CMD: parseCmd, COPY: parseCopy, ENTRYPOINT: parseEntrypoint, ENV: parseEnv, EXPOSE: parseExpose,
  FROM: parseFrom, HEALTHCHECK: parseHealthcheck, LABEL: parseLabel, MAINTAINER: parseMaintainer, ONBUILD: parseOnbuild, RUN: parseRun,
  SHELL: parseShell, STOPSIGNAL: parseStopsignal, USER: parseUser, VOLUME: parseVolume, WORKDIR: parseWorkdir,
}

/**
 * Reads a Dockerfile as far as that is possible without variables, base images and files. Ranges refer to the text
 * without a byte order mark, which is the text of the result's source.
 * @throws {DockerfileError} at the first thing that is wrong
 * @see Dockerfile reference
 */
export function parseDockerfile(given: DockerfileSource): Dockerfile {
  const source = given.text.startsWith('\ufeff') ? { ...given, text: given.text.slice(1) } : given
  const { directives, lineCount } = readDirectives(source)
  const reader = new LineReader(source, { escape: directives.escape, directiveLines: lineCount })
  const globalArgs: ArgInstruction[] = []
  const stages: { from: FromInstruction; instructions: StageInstruction[] }[] = []
  for (let instruction = readInstruction(reader, directives.escape); instruction !== undefined; instruction = readInstruction(reader, directives.escape)) {
    const stage = stages.at(-1)
    if (instruction.kind === 'FROM') stages.push({ from: instruction, instructions: [] })
    else if (stage !== undefined) stage.instructions.push(instruction)
    else if (instruction.kind === 'ARG') globalArgs.push(instruction)
    else throw new DockerfileError({ source, range: instruction.range }, { rule: 'stage', problem: `${instruction.kind} stands before the first FROM`, remedy: 'only ARG may stand there' })
  }
  if (stages.length === 0) throw new DockerfileError({ source, range: endOf(source) }, { rule: 'stage', problem: 'the file has no FROM', remedy: 'begin with FROM image, or FROM scratch' })
  return { source, directives, globalArgs, stages: stages.map(toStage) }
}

/**
 * Reads a trigger as an image config stores it. Ranges refer to the trigger's own text.
 * @throws {DockerfileError}
 */
export function parseOnbuildTrigger(trigger: string): StageInstruction {
  const source = { name: `ONBUILD ${trigger.split('\n', 1)[0] ?? ''}`, text: trigger }
  const reader = new LineReader(source, { escape: '\\', directiveLines: 0 })
  const range = endOf(source)
  const instruction = readInstruction(reader, '\\')
  if (instruction === undefined) throw new DockerfileError({ source, range }, { rule: 'onbuild', problem: 'the trigger is empty' })
  if (!isTriggerable(instruction)) throw new DockerfileError({ source, range: instruction.range }, triggerProblem(instruction.kind))
  if (reader.next() !== undefined) throw new DockerfileError({ source, range }, { rule: 'onbuild', problem: 'the trigger holds more than one instruction' })
  return instruction
}

function readInstruction(reader: LineReader, escape: string): Instruction | undefined {
  const line = reader.next()
  if (line === undefined) return undefined
  const head = readStatementHead(line, escape)
  const openings = findOpenings(head)
  const heredocs = readHeredocs(reader, line, openings)
  const statement = completeStatement(head, openings, heredocs)
  const instruction = parseStatement(statement)
  parseStepPolicy(instruction, line.source)
  return instruction
}

/** Only RUN, COPY and ADD have here-documents, also as triggers, and not in JSON form. */
function findOpenings(given: StatementHead): HeredocOpening[] {
  const isTrigger = keywordOf(given) === 'ONBUILD' && given.args.start < given.args.end
  const head = isTrigger ? readStatementHead(given.line, given.escape, given.args.start) : given
  const { line, args } = head
  const keyword = keywordOf(head)
  if (keyword !== 'RUN' && keyword !== 'COPY' && keyword !== 'ADD') return []
  const openings = findHeredocs(line.text, args.start, args.end)
  if (openings.length === 0 || readJsonForm(head) !== undefined) return []
  return openings
}

function completeStatement(head: StatementHead, openings: readonly HeredocOpening[], heredocs: readonly Heredoc[]): Statement {
  const { line } = head
  const start = skipSpace(line.text, 0)
  const end = trimmedEnd(line.text, start)
  const written = rangeOf(line, { start, end })
  const last = heredocs.at(-1)?.range ?? written
  const { escape, keyword, flags, args } = head
  return {
    line, escape, keyword, flags, args, openings, heredocs,
    base: {
      range: heredocs.length === 0 ? written : { ...written, endLine: last.endLine, endColumn: last.endColumn },
      source: start === 0 && end === line.text.length ? line.text : line.text.slice(start, end),
      comments: line.comments,
    },
  }
}

function parseStatement(statement: Statement): Instruction {
  const keyword = keywordOf(statement)
  if (isKeyword(keyword)) return parsers[keyword](statement)
  const suggestion = findNearest(keyword, Object.keys(parsers))
  return refuseWord(statement, statement.keyword, {
    rule: 'instruction',
    problem: `there is no instruction ${quote(statement.keyword.text)}`,
    remedy: suggestion === undefined ? `if the line continues the one above, end that one with ${statement.escape}` : undefined,
    suggestion,
  })
}

function isKeyword(text: string): text is Keyword {
  return Object.hasOwn(parsers, text)
}

function parseOnbuild(statement: Statement): OnbuildInstruction {
  statementFlags(statement)
  const { line, args, heredocs } = statement
  if (args.start === args.end) refuse(statement, { rule: 'onbuild', problem: 'ONBUILD has no trigger', remedy: 'write ONBUILD RUN command' })
  const head = readStatementHead(line, statement.escape, args.start)
  if (untriggerable.includes(keywordOf(head))) refuseWord(statement, head.keyword, triggerProblem(keywordOf(head)))
  parseStatement({ ...statement, ...head })
  const bodies = heredocs.map(({ name, rawContent }) => `\n${rawContent}${name}`)
  return { kind: 'ONBUILD', ...statement.base, trigger: line.text.slice(args.start) + bodies.join('') }
}

const untriggerable: readonly string[] = ['ONBUILD', 'FROM', 'MAINTAINER']

function isTriggerable(instruction: Instruction): instruction is StageInstruction {
  return !untriggerable.includes(instruction.kind)
}

function triggerProblem(keyword: string): Problem {
  return { rule: 'onbuild', problem: `ONBUILD cannot trigger ${keyword}`, remedy: keyword === 'ONBUILD' ? 'name the instruction itself' : undefined }
}

function toStage({ from, instructions }: { readonly from: FromInstruction; readonly instructions: readonly StageInstruction[] }, index: number): Stage {
  return { index, name: from.name?.text.toLowerCase(), from, instructions }
}

function endOf(source: DockerfileSource): SourceRange {
  const lines = source.text.trimEnd().split('\n')
  const column = lines.at(-1)?.length ?? 0
  return { startLine: lines.length, startColumn: 0, endLine: lines.length, endColumn: column }
}
