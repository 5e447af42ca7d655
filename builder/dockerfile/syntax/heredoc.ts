import { DockerfileError } from '../errors.ts'
import { Lexer } from '../expand/lexer.ts'
import type { Heredoc } from '../instruction.ts'
import type { LineReader } from './line-reader.ts'
import type { LogicalLine, Span } from './logical-line.ts'
import { placeOf } from './logical-line.ts'

/** A `<<NAME` found on a line, its body still to be read. */
export interface HeredocOpening extends Span {
  readonly name: string
  readonly isExpanded: boolean
  readonly stripsTabs: boolean
  readonly fileDescriptor: number
}

/**
 * The here-documents that a line opens, in order. Words are found as a shell finds them, so quoted or escaped `<<`
 * opens nothing. A line whose quotes or substitutions are broken opens none: the shell will complain about it.
 */
export function findHeredocs(text: string, start: number, end: number): HeredocOpening[] {
  const operator = text.indexOf('<<', start)
  if (operator === -1 || operator >= end) return []
  let isInArithmetic = false
  return lexWords(text.slice(start, end), 'keep', true).flatMap((word) => {
    const opening = isInArithmetic ? undefined : parseOpening(word.text)
    isInArithmetic = leavesArithmetic(word.text, isInArithmetic)
    return opening === undefined ? [] : [{ ...opening, start: start + word.start, end: start + word.end }]
  })
}

/** `$(( 1 << 2 ))` shifts. BuildKit takes it for a here-document and fails; a shell does not. */
function leavesArithmetic(word: string, before: boolean): boolean {
  const opened = word.lastIndexOf('$((')
  const closed = word.lastIndexOf('))')
  return opened === -1 && closed === -1 ? before : opened > closed
}

function parseOpening(word: string): Omit<HeredocOpening, 'start' | 'end'> | undefined {
  const match = /^(\d*)<<(-?)\s*([^<]*)$/u.exec(word)
  const delimiter = match?.[3] ?? ''
  if (match === null || delimiter === '') return undefined
  const common = { stripsTabs: match[2] === '-', fileDescriptor: Number(match[1]) }
  if (/^\w+$/u.test(delimiter)) return { name: delimiter, isExpanded: true, ...common }
  const names = lexWords(delimiter, 'remove', false)
  const [name] = names
  if (name === undefined || names.length !== 1) return undefined
  const [kept] = lexWords(delimiter, 'keep', false)
  return { name: name.text, isExpanded: countQuotes(name.text) === countQuotes(kept?.text ?? ''), ...common }
}

function lexWords(text: string, quotes: 'keep' | 'remove', rawEscapes: boolean): readonly { readonly text: string; readonly start: number; readonly end: number }[] {
  try {
    return new Lexer(text, { escape: '\\', lookUp: undefined, quotes, rawEscapes, splitsWords: true, refuse: () => { throw new NoWords() } }).run().words
  } catch (error) {
    if (error instanceof NoWords) return []
    throw error
  }
}

class NoWords extends Error {}

/** Quotes that were escaped stay in both readings of a delimiter; those that quote stay in one. */
function countQuotes(text: string): number {
  return text.split(/['"]/u).length - 1
}

/** @throws {DockerfileError} when the file ends before the delimiter */
export function readHeredocs(reader: LineReader, line: LogicalLine, openings: readonly HeredocOpening[]): Heredoc[] {
  return openings.map((opening) => readBody(reader, line, opening))
}

function readBody(reader: LineReader, line: LogicalLine, opening: HeredocOpening): Heredoc {
  const { text } = reader.source
  let first: number | undefined
  let start = 0
  for (let body = reader.nextPhysical(); body !== undefined; body = reader.nextPhysical()) {
    if (first === undefined) {
      first = body.number
      start = body.start
    }
    const candidate = opening.stripsTabs ? body.text.replace(/^\t+/u, '') : body.text
    if (candidate !== opening.name) continue
    const rawContent = text.slice(start, body.start)
    return {
      name: opening.name,
      content: opening.stripsTabs ? rawContent.replace(/(^|\n)\t+/gu, '$1') : rawContent,
      rawContent,
      isExpanded: opening.isExpanded,
      fileDescriptor: opening.fileDescriptor,
      range: { startLine: first, startColumn: 0, endLine: body.number, endColumn: body.text.length },
    }
  }
  throw new DockerfileError(placeOf(line, opening), {
    rule: 'heredoc',
    problem: `the here-document ${JSON.stringify(opening.name)} is not closed before the end of the file`,
    remedy: `end it with a line that holds ${opening.name} alone`,
  })
}
