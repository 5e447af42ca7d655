/** `*` any text, `?` any character, neither a line feed; anything else is itself. */
type Token = { readonly kind: 'text'; readonly character: string } | { readonly kind: 'any' } | { readonly kind: 'star' }

/** The pattern of `${name#pattern}` and its kin: runs of literal and single-character tokens with stars between them. */
export interface Wildcard {
  /** Always one more than there are stars. */
  readonly runs: readonly (readonly Token[])[]
}

/** Matching gives up after this many character comparisons, a fraction of a second of work. */
const maxComparisons = 20_000_000
/** Replacing gives up when the result grows beyond this many characters. */
const maxLength = 1 << 22

/** Thrown out of a match that would take too long. */
export class WildcardTooCostly extends Error {}

/** The escape is always the backslash. Returns the character that may not be escaped instead of a pattern. */
export function parseWildcard(text: string): Wildcard | { readonly badEscape: string } {
  const runs: Token[][] = [[]]
  const characters = Array.from(text)
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index] ?? ''
    const run = runs.at(-1)
    if (character === '*') runs.push([])
    else if (character === '?') run?.push({ kind: 'any' })
    else if (character !== '\\') run?.push({ kind: 'text', character })
    else {
      index += 1
      const escaped = characters[index] ?? ''
      if (!['}', '/', '*', '?', '\\'].includes(escaped)) return { badEscape: escaped }
      run?.push({ kind: 'text', character: escaped })
    }
  }
  return { runs }
}

/** The value without what the pattern matches at its front. */
export function trimPrefix(value: string, { runs }: Wildcard, extent: 'shortest' | 'longest'): string {
  const end = new Matcher(value, runs).matchAt(0, extent)
  return end === undefined ? value : value.slice(end)
}

/** The value without what the pattern matches at its end. */
export function trimSuffix(value: string, { runs }: Wildcard, extent: 'shortest' | 'longest'): string {
  const reversedRuns = runs.map((run) => run.toReversed()).toReversed()
  return reverse(trimPrefix(reverse(value), { runs: reversedRuns }, extent))
}

/**
 * Replaces the first match, leftmost and longest, or every one. Replacing all reads `$0`, `$1`, `${name}` and `$$` in
 * the replacement as Go's regular expressions do, since that is how BuildKit does it: only `$0` holds anything.
 */
export function replace(value: string, { runs }: Wildcard, { replacement, all }: { readonly replacement: string; readonly all: boolean }): string {
  const matcher = new Matcher(value, runs)
  const parts: string[] = []
  let length = value.length
  let copied = 0
  let searchFrom = 0
  let lastEnd = -1
  for (let match = matcher.find(searchFrom); match !== undefined; match = matcher.find(searchFrom)) {
    const { start, end } = match
    if (end > start || start !== lastEnd) {
      const filled = all ? fillTemplate(replacement, value.slice(start, end)) : replacement
      length += filled.length
      if (length > maxLength) throw new WildcardTooCostly()
      parts.push(value.slice(copied, start), filled)
      copied = end
    }
    lastEnd = end
    if (!all) break
    searchFrom = end > start ? end : end + Math.max(1, characterLength(value, end))
    if (searchFrom > value.length) break
  }
  parts.push(value.slice(copied))
  return parts.join('')
}

function fillTemplate(template: string, match: string): string {
  return template.replace(/\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu, (written: string, braced: string | undefined, bare: string | undefined) => {
    if (written === '$$') return '$'
    return (braced ?? bare) === '0' ? match : ''
  })
}

function reverse(text: string): string {
  return Array.from(text).reverse().join('')
}

function characterLength(text: string, position: number): number {
  return (text.codePointAt(position) ?? 0) > 0xffff ? 2 : 1
}

/**
 * Matches without backtracking: every run is taken at its first place, which leaves most room for the rest, and for
 * the longest match the last run is then moved to its last place. Stars cannot cross a line feed, so a run that
 * follows one has to begin before it.
 */
class Matcher {
  readonly #value: string
  readonly #runs: readonly (readonly Token[])[]
  #comparisons = 0

  constructor(value: string, runs: readonly (readonly Token[])[]) {
    this.#value = value
    this.#runs = runs
  }

  /** The end of a match that begins at `start`. */
  matchAt(start: number, extent: 'shortest' | 'longest'): number | undefined {
    let end = this.#runEnd(0, start)
    for (let index = 1; index < this.#runs.length && end !== undefined; index += 1) {
      const isLast = index === this.#runs.length - 1
      end = isLast && extent === 'longest' ? this.#lastRun(index, end) : this.#firstRun(index, end)
    }
    return end
  }

  /** The leftmost longest match that begins at `from` or later. */
  find(from: number): { readonly start: number; readonly end: number } | undefined {
    let start = from
    while (start <= this.#value.length) {
      if (this.#runEnd(0, start) === undefined) {
        start += Math.max(1, characterLength(this.#value, start))
        continue
      }
      const end = this.matchAt(start, 'longest')
      if (end !== undefined) return { start, end }
      // A later start on the same line cannot reach what this one could not.
      start = this.#lineEnd(start) + 1
    }
    return undefined
  }

  #firstRun(index: number, from: number): number | undefined {
    const limit = this.#lineEnd(from)
    for (let start = from; start <= limit; start += 1) {
      const end = this.#runEnd(index, start)
      if (end !== undefined) return end
    }
    return undefined
  }

  #lastRun(index: number, from: number): number | undefined {
    for (let start = this.#lineEnd(from); start >= from; start -= 1) {
      const end = this.#runEnd(index, start)
      if (end !== undefined) return end
    }
    return undefined
  }

  #lineEnd(from: number): number {
    const newline = this.#value.indexOf('\n', from)
    return newline === -1 ? this.#value.length : newline
  }

  /** Where run `index` ends when it begins at `start`, or undefined when it does not. */
  #runEnd(index: number, start: number): number | undefined {
    let position = start
    for (const token of this.#runs[index] ?? []) {
      this.#comparisons += 1
      if (this.#comparisons > maxComparisons) throw new WildcardTooCostly()
      const length = characterLength(this.#value, position)
      if (position >= this.#value.length) return undefined
      const isMatch = token.kind === 'text'
        ? this.#value.startsWith(token.character, position)
        : this.#value[position] !== '\n'
      if (!isMatch) return undefined
      position += length
    }
    return position
  }
}
