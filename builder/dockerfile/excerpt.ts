import type { Place } from './errors.ts'

/** One line of an excerpt; columns count from 0 in UTF-16 units of `text`. */
export interface ExcerptLine {
  readonly number: number
  readonly text: string
  /** What to underline, half-open; undefined on lines of context. */
  readonly underline: { readonly start: number; readonly end: number } | undefined
}

const maxLines = 8
const maxWidth = 160

/**
 * The lines around a place, for messages: at most `context` lines before it and eight of it. Long lines are cut to a
 * window around what is underlined, with `…` where something is missing. Control characters become spaces, so that an
 * excerpt never changes the state of a terminal and columns stay what they are.
 */
export function excerptOf({ source, range }: Place, context = 2): ExcerptLine[] {
  const lines = source.text.split('\n', range.startLine + maxLines)
  const first = Math.max(1, range.startLine - context)
  const last = Math.min(lines.length, range.endLine, range.startLine + maxLines - 1)
  return lines.slice(first - 1, last).map((line, index) => {
    const number = first + index
    const text = printable(line)
    if (number < range.startLine) return { number, text: text.length > maxWidth ? `${text.slice(0, maxWidth - 1)}…` : text, underline: undefined }
    const indent = text.length - text.trimStart().length
    const start = number === range.startLine ? range.startColumn : indent
    const end = number === range.endLine ? range.endColumn : text.length
    return cut(number, text, { start, end: Math.max(end, start + 1) })
  })
}

function cut(number: number, text: string, underline: { readonly start: number; readonly end: number }): ExcerptLine {
  if (text.length <= maxWidth) return { number, text, underline }
  const from = Math.max(0, Math.min(underline.start - 40, text.length - maxWidth + 1))
  const before = from > 0 ? '…' : ''
  const window = text.slice(from, from + maxWidth - 2)
  const after = from + window.length < text.length ? '…' : ''
  const shift = before.length - from
  const end = Math.min(underline.end + shift, before.length + window.length)
  return { number, text: `${before}${window}${after}`, underline: { start: underline.start + shift, end: Math.max(end, underline.start + shift + 1) } }
}

function printable(line: string): string {
  return line.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/gu, ' ').trimEnd()
}
