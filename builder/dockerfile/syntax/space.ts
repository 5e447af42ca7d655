/** Space as Go's unicode.IsSpace has it: with U+0085, without U+FEFF, which is where it differs from `\s`. */
export function isSpace(character: string): boolean {
  const code = character.charCodeAt(0)
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d)
  return code === 0x85 || (code !== 0xfeff && /\s/u.test(character))
}

/** The first position from `start` on that holds no space. */
export function skipSpace(text: string, start: number, end = text.length): number {
  let position = start
  while (position < end && isSpace(text.charAt(position))) position += 1
  return position
}

/** The end of `text` without trailing space, not before `start`. */
export function trimmedEnd(text: string, start: number, end = text.length): number {
  let position = end
  while (position > start && isSpace(text.charAt(position - 1))) position -= 1
  return position
}

/** What separates words of a line: fewer characters than `isSpace` knows. */
export function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\v' || character === '\f'
}
