import type { Problem } from '../errors.ts'
import { DockerfileError } from '../errors.ts'
import type { Heredoc, SourceRange, Word } from '../instruction.ts'
import type { Flags, FlagTable } from './flags.ts'
import { checkFlags, splitFlags } from './flags.ts'
import type { HeredocOpening } from './heredoc.ts'
import type { LogicalLine, Span } from './logical-line.ts'
import { placeOf, rangeOf, wordOf } from './logical-line.ts'
import { isBlank, skipSpace, trimmedEnd } from './space.ts'
import { splitAtBlanks } from './words.ts'

/** What every instruction has: the fields of its type that do not depend on its kind. */
export interface StatementBase {
  readonly range: SourceRange
  readonly source: string
  readonly comments: readonly Word[]
}

/** A line taken apart as far as all instructions are alike: `KEYWORD --flags arguments`. */
export interface Statement {
  readonly line: LogicalLine
  readonly escape: string
  readonly keyword: Word
  readonly flags: ReturnType<typeof splitFlags>['written']
  /** The arguments, trimmed; empty when there are none. */
  readonly args: Span
  readonly openings: readonly HeredocOpening[]
  readonly heredocs: readonly Heredoc[]
  readonly base: StatementBase
}

/** The parts of a line before its here-documents are known. */
export type StatementHead = Pick<Statement, 'line' | 'escape' | 'keyword' | 'flags' | 'args'>

/** Reads the statement that begins at `start`, which for an ONBUILD trigger is inside the line. */
export function readStatementHead(line: LogicalLine, escape: string, start = 0): StatementHead {
  const from = skipSpace(line.text, start)
  const end = trimmedEnd(line.text, from)
  let keywordEnd = from
  while (keywordEnd < end && !isBlank(line.text.charAt(keywordEnd))) keywordEnd += 1
  const { written, rest } = splitFlags(line, keywordEnd, end)
  return { line, escape, keyword: wordOf(line, { start: from, end: keywordEnd }), flags: written, args: { start: rest, end: Math.max(rest, end) } }
}

export function argumentText({ line, args }: Pick<Statement, 'line' | 'args'>): string {
  return line.text.slice(args.start, args.end)
}

/** The arguments split at blanks. */
export function argumentWords(statement: Statement): Word[] {
  const { line, args } = statement
  return splitAtBlanks(line.text, args.start, args.end).map((span) => wordOf(line, span))
}

/** All arguments as one word, blanks included. @throws {DockerfileError} when there are none */
export function onlyArgument(statement: Statement, remedy: string): Word {
  const { line, args } = statement
  if (args.start === args.end) refuse(statement, { rule: 'argument-count', problem: `${keywordOf(statement)} has no argument`, remedy })
  return wordOf(line, args)
}

/** @throws {DockerfileError} for flags the table does not have */
export function statementFlags(statement: Statement, table: FlagTable = {}): Flags {
  return checkFlags(statement.line, statement.flags, { keyword: keywordOf(statement), table })
}

/** The keyword as messages and types spell it. */
export function keywordOf({ keyword }: Pick<Statement, 'keyword'>): string {
  return keyword.text.toUpperCase()
}

/** @throws {DockerfileError} always: at `span`, or at the whole statement */
export function refuse(statement: Pick<Statement, 'line' | 'keyword' | 'args'>, problem: Problem, span?: Span): never {
  const { line, keyword, args } = statement
  if (span !== undefined) throw new DockerfileError(placeOf(line, span), problem)
  const arguments_ = rangeOf(line, args)
  const end = args.end > args.start ? arguments_ : keyword.range
  const range = { ...keyword.range, endLine: end.endLine, endColumn: end.endColumn }
  throw new DockerfileError({ source: line.source, range }, problem)
}

/** @throws {DockerfileError} always, at `word` */
export function refuseWord({ line }: Pick<Statement, 'line'>, word: Word, problem: Problem): never {
  throw new DockerfileError({ source: line.source, range: word.range }, problem)
}
