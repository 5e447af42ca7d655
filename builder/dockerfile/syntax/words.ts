import type { Word } from '../instruction.ts'
import type { LogicalLine, Span } from './logical-line.ts'
import { wordOf } from './logical-line.ts'
import { isBlank, isSpace, skipSpace } from './space.ts'

/** Splits at blanks alone: quotes mean nothing yet, as in FROM, COPY, EXPOSE and VOLUME. */
export function splitAtBlanks(text: string, start: number, end: number): Span[] {
  const spans: Span[] = []
  let position = start
  while (position < end) {
    while (position < end && isBlank(text.charAt(position))) position += 1
    const from = position
    while (position < end && !isBlank(text.charAt(position))) position += 1
    if (position > from) spans.push({ start: from, end: position })
  }
  return spans
}

/** Splits at space outside quotes, as in ARG, ENV and LABEL. Quotes and escapes stay in the words. */
export function splitQuoted(line: LogicalLine, { start, end }: Span, escape: string): Span[] {
  const spans: Span[] = []
  let position = skipSpace(line.text, start, end)
  while (position < end) {
    const from = position
    position = quotedWordEnd(line.text, { start: from, end }, escape)
    spans.push({ start: from, end: position })
    position = skipSpace(line.text, position, end)
  }
  return spans
}

function quotedWordEnd(text: string, { start, end }: Span, escape: string): number {
  let quoteMark = ''
  let position = start
  for (; position < end; position += 1) {
    const character = text.charAt(position)
    if (quoteMark === '' && isSpace(character)) return position
    if (character === escape && quoteMark !== "'") position += 1
    else if (character === quoteMark) quoteMark = ''
    else if (quoteMark === '' && (character === '"' || character === "'")) quoteMark = character
  }
  return end
}

/** The word as written, but without an escape character at the very end of the arguments, which has nothing to escape. */
export function quotedWord(line: LogicalLine, { start, end }: Span, { escape, argumentsEnd }: { readonly escape: string; readonly argumentsEnd: number }): Word {
  let kept = end
  while (end === argumentsEnd && kept > start && line.text[kept - 1] === escape) kept -= 1
  return wordOf(line, { start, end }, line.text.slice(start, end - (end - kept) % 2))
}
