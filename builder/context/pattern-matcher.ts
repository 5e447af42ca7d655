import type { IgnorePattern } from './ignore-pattern.ts'
import { createLiteralIndex } from './literal-index.ts'

/** Which patterns a directory matched, for its entries to inherit: numbers in ascending order. */
export type MatchState = readonly number[]

/** What a walk starts with. */
export const rootState: MatchState = []

/**
 * A list of patterns of which the last that matches decides, with `!` taking back in. Paths are relative, without a
 * leading slash; below a directory that matches everything matches until a pattern takes it back.
 */
export interface PatternMatcher {
  readonly patterns: readonly IgnorePattern[]
  readonly hasExceptions: boolean
  /** For walks from the top: `parent` is the state of the directory that holds `path`. */
  match(path: string, parent: MatchState): { readonly isMatch: boolean; readonly state: MatchState }
  /** False when a directory that matches holds nothing that could be taken back in, so that a walk may skip it. */
  mayHoldExceptions(directory: string): boolean
  /** For one path on its own. With exceptions it may differ from a walk, which BuildKit's copies follow; its check of COPY sources asks this. */
  matches(path: string): boolean
}

export function createPatternMatcher(patterns: readonly IgnorePattern[]): PatternMatcher {
  const index = createLiteralIndex(patterns.map(({ literal }) => literal))
  const always = patterns.flatMap(({ literal }, number) => literal === '' ? [number] : [])
  const exceptions = patterns.filter(({ isException }) => isException)

  const candidates = (path: string, parent: MatchState): number[] => {
    const numbers = new Set(always)
    index.find(path, (number) => numbers.add(number))
    for (const number of parent) numbers.add(number)
    return [...numbers].sort((one, other) => one - other)
  }

  return {
    patterns,
    hasExceptions: exceptions.length > 0,
    match(path, parent) {
      const inherited = new Set(parent)
      const state: number[] = []
      let isMatch = false
      for (const number of candidates(path, parent)) {
        const pattern = patterns[number]
        if (pattern === undefined) continue
        // A pattern that could not change the outcome is not looked at, and so not inherited either.
        if (!inherited.has(number) && (pattern.isException !== isMatch || !pattern.matches(path))) continue
        state.push(number)
        isMatch = !pattern.isException
      }
      return { isMatch, state }
    },
    mayHoldExceptions(directory) {
      const below = `${directory}/`
      return exceptions.some(({ prefix }) => prefix.startsWith(below) || below.startsWith(prefix))
    },
    matches(path) {
      const parts = path.split('/')
      const paths = parts.map((_, last) => parts.slice(0, last + 1).join('/')).reverse()
      let isMatch = false
      for (const number of candidates(path, rootState)) {
        const pattern = patterns[number]
        if (pattern === undefined || pattern.isException !== isMatch) continue
        if (paths.some((candidate) => pattern.matches(candidate))) isMatch = !pattern.isException
      }
      return isMatch
    },
  }
}
