import stringWidth from 'string-width'

/** The columns a text takes on a terminal. */
export function widthOf(text: string): number {
  return stringWidth(text)
}

/** The text in at most `width` columns, `…` where something is missing. Takes no escape sequences. */
export function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let cut = ''
  let used = 0
  for (const { segment } of graphemes.segment(text)) {
    const columns = widthOf(segment)
    if (used + columns > width - 1) break
    cut += segment
    used += columns
  }
  return width < 1 ? '' : `${cut}…`
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Cut or filled up with blanks to exactly `width` columns. */
export function padTo(text: string, width: number): string {
  const cut = cutTo(text, width)
  return cut + ' '.repeat(Math.max(0, width - widthOf(cut)))
}
