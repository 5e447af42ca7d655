import type { Place } from '../errors.ts'
import type { DockerfileSource, SourceRange, Word } from '../instruction.ts'

/** A piece of a logical line, half-open. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A run of characters of a logical line that stand together in the file. */
export interface Segment {
  /** Where the run begins in the logical line. */
  readonly offset: number
  readonly line: number
  readonly column: number
}

/** An instruction with its continuations joined and the comments between them gone; knows where each character came from. */
export interface LogicalLine {
  readonly source: DockerfileSource
  readonly text: string
  readonly segments: readonly Segment[]
  /** Comment lines directly above. */
  readonly comments: readonly Word[]
}

/** The range of `text.slice(start, end)` in the file. */
export function rangeOf(line: LogicalLine, { start, end }: Span): SourceRange {
  const first = segmentAt(line, start)
  const last = end > start ? segmentAt(line, end - 1) : first
  return {
    startLine: first.line,
    startColumn: first.column + start - first.offset,
    endLine: last.line,
    endColumn: last.column + end - last.offset,
  }
}

export function placeOf(line: LogicalLine, span: Span): Place {
  return { source: line.source, range: rangeOf(line, span) }
}

/** `text` is given where it differs from what is written, as when quotes are gone. */
export function wordOf(line: LogicalLine, span: Span, text = line.text.slice(span.start, span.end)): Word {
  return { text, range: rangeOf(line, span) }
}

function segmentAt({ segments }: LogicalLine, position: number): Segment {
  let low = 0
  let high = segments.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((segments[middle]?.offset ?? 0) <= position) low = middle
    else high = middle - 1
  }
  return segments[low] ?? { offset: 0, line: 1, column: 0 }
}
