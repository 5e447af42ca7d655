import type { SourceRange } from '../instruction.ts'

/**
 * Says where in a range each variable is read first, `$name` or `${name…`; of one that a continuation splits, the
 * whole range. The range is searched once, and not before the first question.
 */
export function variableLocator(lines: readonly string[], range: SourceRange): (name: string) => SourceRange {
  let places: ReadonlyMap<string, SourceRange> | undefined
  return (name) => {
    places ??= findVariables(lines, range)
    return places.get(name) ?? range
  }
}

function findVariables(lines: readonly string[], range: SourceRange): Map<string, SourceRange> {
  const places = new Map<string, SourceRange>()
  for (let number = range.startLine; number <= range.endLine; number += 1) {
    const line = lines[number - 1] ?? ''
    for (const { index, 0: written, 1: name = '' } of line.matchAll(/\$\{?(\p{Nd}+|[\p{L}_][\p{L}\p{Nd}_]*|[@*#?\-$!])/gu)) {
      const isBefore = number === range.startLine && index < range.startColumn
      if (!isBefore && !places.has(name)) places.set(name, { startLine: number, startColumn: index, endLine: number, endColumn: index + written.length })
    }
  }
  return places
}
