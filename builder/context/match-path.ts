/** What a pattern is: malformed, or matching, or not. */
export type PathMatch = 'match' | 'no-match' | 'malformed'

/**
 * Matches a whole path with `*`, `?`, `[a-z]`, `[^a]` and `\` as Go's filepath.Match does: `*` and `?` stop at a slash,
 * a class does not, and `**` is no more than `*`. This is what wildcards in COPY and ADD sources mean.
 */
export function matchPath(pattern: string, path: string): PathMatch {
  let rest = pattern
  let name = path
  while (rest !== '') {
    const { star, chunk, after } = scanChunk(rest)
    rest = after
    if (star && chunk === '') return name.includes('/') ? 'no-match' : 'match'
    const direct = matchChunk(chunk, name)
    if (direct === undefined) return 'malformed'
    if (direct !== false && (direct === '' || rest !== '')) {
      name = direct
      continue
    }
    const skipped = star ? matchAfterStar(chunk, name, rest === '') : false
    if (skipped === undefined) return 'malformed'
    if (skipped === false) return isWellFormed(rest) ? 'no-match' : 'malformed'
    name = skipped
  }
  return name === '' ? 'match' : 'no-match'
}

/** True for a path that stands for several: `\` makes the next character plain. */
export function hasWildcard(path: string): boolean {
  return /^(?:[^*?[\\]|\\[^])*[*?[]/u.test(path)
}

function matchAfterStar(chunk: string, name: string, isLast: boolean): string | false | undefined {
  for (let skipped = 0; skipped < name.length && name[skipped] !== '/'; skipped += 1) {
    const rest = matchChunk(chunk, name.slice(skipped + 1))
    if (rest === undefined) return undefined
    if (rest !== false && !(isLast && rest !== '')) return rest
  }
  return false
}

function isWellFormed(pattern: string): boolean {
  for (let rest = pattern; rest !== '';) {
    const { chunk, after } = scanChunk(rest)
    if (matchChunk(chunk, '') === undefined) return false
    rest = after
  }
  return true
}

/** Leading stars, and what follows up to the next star outside a class. */
function scanChunk(pattern: string): { readonly star: boolean; readonly chunk: string; readonly after: string } {
  let start = 0
  while (pattern[start] === '*') start += 1
  let isInClass = false
  let end = start
  for (; end < pattern.length; end += 1) {
    const character = pattern[end]
    if (character === '\\') end += 1
    else if (character === '[') isInClass = true
    else if (character === ']') isInClass = false
    else if (character === '*' && !isInClass) break
  }
  return { star: start > 0, chunk: pattern.slice(start, end), after: pattern.slice(end) }
}

/** What is left of `name`, false when the chunk does not match its front, undefined when the chunk is malformed. */
function matchChunk(chunk: string, name: string): string | false | undefined {
  let failed = false
  let at = 0
  let position = 0
  while (position < chunk.length) {
    if (at >= name.length) failed = true
    let character = characterAt(chunk, position)
    const found = failed ? '' : characterAt(name, at)
    if (character === '[') {
      const read = readClass(chunk, position + 1)
      if (read === undefined) return undefined
      if (!failed && read.ranges.some(([low, high]) => low <= codeOf(found) && codeOf(found) <= high) === read.isNegated) failed = true
      position = read.end
    } else {
      const isAny = character === '?'
      if (character === '\\') {
        position += 1
        if (position >= chunk.length) return undefined
        character = characterAt(chunk, position)
      }
      if (isAny ? found === '/' : found !== character) failed = true
      position += character.length
    }
    at += found.length
  }
  return failed ? false : name.slice(at)
}

interface CharacterClass {
  readonly ranges: readonly (readonly [low: number, high: number])[]
  readonly isNegated: boolean
  readonly end: number
}

function readClass(chunk: string, start: number): CharacterClass | undefined {
  const isNegated = chunk[start] === '^'
  const ranges: [number, number][] = []
  let position = isNegated ? start + 1 : start
  while (!(chunk[position] === ']' && ranges.length > 0)) {
    const low = readClassCharacter(chunk, position)
    if (low === undefined) return undefined
    position = low.end
    let high = low
    if (chunk[position] === '-') {
      const upper = readClassCharacter(chunk, position + 1)
      if (upper === undefined) return undefined
      high = upper
      position = upper.end
    }
    ranges.push([low.code, high.code])
  }
  return { ranges, isNegated, end: position + 1 }
}

/** A class cannot end a chunk, so a character that does is malformed. */
function readClassCharacter(chunk: string, start: number): { readonly code: number; readonly end: number } | undefined {
  const first = chunk[start]
  if (first === undefined || first === '-' || first === ']') return undefined
  const position = first === '\\' ? start + 1 : start
  const character = characterAt(chunk, position)
  const end = position + character.length
  return character === '' || end >= chunk.length ? undefined : { code: codeOf(character), end }
}

function characterAt(text: string, position: number): string {
  const code = text.codePointAt(position)
  return code === undefined ? '' : String.fromCodePoint(code)
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? -1
}
