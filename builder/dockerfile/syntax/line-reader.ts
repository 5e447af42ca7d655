import { DockerfileError } from '../errors.ts'
import type { DockerfileSource, Word } from '../instruction.ts'
import type { LogicalLine, Segment } from './logical-line.ts'
import { skipSpace, trimmedEnd } from './space.ts'

/** A line of the file; `text` is without its line ending. */
export interface PhysicalLine {
  readonly number: number
  readonly text: string
  /** Position of the first character in the file. */
  readonly start: number
  /** Position after the line ending. */
  readonly next: number
}

/** Reads a file once from top to bottom, as logical lines or, for the bodies of here-documents, as physical ones. */
export class LineReader {
  readonly source: DockerfileSource
  readonly #escape: string
  readonly #directiveLines: number
  #position = 0
  #line = 0

  /** Comments up to line `directiveLines` are directives and belong to no instruction. */
  constructor(source: DockerfileSource, { escape, directiveLines }: { readonly escape: string; readonly directiveLines: number }) {
    this.source = source
    this.#escape = escape
    this.#directiveLines = directiveLines
  }

  nextPhysical(): PhysicalLine | undefined {
    const { text } = this.source
    if (this.#position >= text.length) return undefined
    const start = this.#position
    const newline = text.indexOf('\n', start)
    const next = newline === -1 ? text.length : newline + 1
    let end = newline === -1 ? text.length : newline
    while (end > start && text[end - 1] === '\r') end -= 1
    this.#position = next
    this.#line += 1
    return { number: this.#line, text: text.slice(start, end), start, next }
  }

  /** The next instruction; blank lines and comments before it are consumed. */
  next(): LogicalLine | undefined {
    let comments: Word[] = []
    for (let line = this.nextPhysical(); line !== undefined; line = this.nextPhysical()) {
      const indent = skipSpace(line.text, 0)
      if (indent === line.text.length) comments = comments.filter(isPolicy)
      else if (line.text[indent] === '#') comments = this.#collectComment(comments, line, indent)
      else {
        const joined = this.#join(line, indent, comments)
        if (trimmedEnd(joined.text, 0) > 0) return joined
      }
    }
    const policy = comments.find(isPolicy)
    if (policy !== undefined) this.#refusePolicy(policy)
    return undefined
  }

  /** An empty comment separates, as a blank line does. A policy stays with the next instruction whatever is between. */
  #collectComment(comments: Word[], line: PhysicalLine, indent: number): Word[] {
    if (line.number <= this.#directiveLines) return comments
    const comment = commentWord(line, indent)
    if (comment.text === '') return comments.filter(isPolicy)
    comments.push(comment)
    return comments
  }

  #join(first: PhysicalLine, indent: number, comments: readonly Word[]): LogicalLine {
    const segments: Segment[] = [{ offset: 0, line: first.number, column: indent }]
    const end = continuationEnd(first.text, this.#escape)
    let text = first.text.slice(indent, end)
    this.#refuseNul(text, first, indent)
    if (end === undefined) return { source: this.source, text, segments, comments }
    const parts = [text]
    let length = text.length
    for (let line = this.#nextContinuation(); line !== undefined; line = this.#nextContinuation()) {
      const lineEnd = continuationEnd(line.text, this.#escape)
      text = line.text.slice(0, lineEnd)
      this.#refuseNul(text, line, 0)
      segments.push({ offset: length, line: line.number, column: 0 })
      parts.push(text)
      length += text.length
      if (lineEnd === undefined) break
    }
    return { source: this.source, text: parts.join(''), segments, comments }
  }

  #nextContinuation(): PhysicalLine | undefined {
    for (let line = this.nextPhysical(); line !== undefined; line = this.nextPhysical()) {
      const indent = skipSpace(line.text, 0)
      if (indent === line.text.length) continue
      if (line.text[indent] !== '#') return line
      const comment = commentWord(line, indent)
      if (isPolicy(comment)) this.#refusePolicy(comment)
    }
    return undefined
  }

  #refusePolicy(comment: Word): never {
    throw new DockerfileError({ source: this.source, range: comment.range }, {
      rule: 'step-policy',
      problem: 'a tsbuild comment that stands before no instruction has no effect',
      remedy: 'put it on a line of its own above the instruction it is for',
    })
  }

  #refuseNul(text: string, line: PhysicalLine, column: number): void {
    const at = text.indexOf('\0')
    if (at === -1) return
    const start = column + at
    throw new DockerfileError({ source: this.source, range: { startLine: line.number, startColumn: start, endLine: line.number, endColumn: start + 1 } }, {
      rule: 'encoding',
      problem: 'the instruction holds a NUL character',
      remedy: 'save the file as UTF-8; UTF-16 is not read',
    })
  }
}

export function isPolicy(comment: Word): boolean {
  return /^tsbuild\s*:/u.test(comment.text)
}

/** The comment without `#` and outer blanks. */
function commentWord(line: PhysicalLine, indent: number): Word {
  const start = skipSpace(line.text, indent + 1)
  const end = trimmedEnd(line.text, start)
  return {
    text: line.text.slice(start, end),
    range: { startLine: line.number, startColumn: start, endLine: line.number, endColumn: end },
  }
}

/**
 * Where the text of a line ends that goes on in the next: at its last character, blanks aside, if that is the escape
 * character and not itself escaped. undefined for any other line.
 */
function continuationEnd(text: string, escape: string): number | undefined {
  let end = text.length
  while (end > 0 && (text[end - 1] === ' ' || text[end - 1] === '\t')) end -= 1
  return text[end - 1] !== escape || text[end - 2] === escape ? undefined : end - 1
}
