import type { IgnorePattern } from './ignore-pattern.ts'
import { cleanPath, parseIgnorePattern } from './ignore-pattern.ts'
import type { PatternMatcher } from './pattern-matcher.ts'
import { createPatternMatcher } from './pattern-matcher.ts'

/**
 * Reads a `.dockerignore` file. Lines that begin with `#` are comments, blanks around a pattern and a slash before it
 * mean nothing, the last pattern that matches decides, and `!` takes back in what patterns above it left out.
 * @throws {MalformedPattern}
 * @see Docker build reference ".dockerignore file"
 */
export function parseDockerignore(text: string): PatternMatcher {
  const lines = text.replace(/^\ufeff/u, '').split('\n')
  return createPatternMatcher(lines.flatMap((line, index) => readLine(line, index + 1) ?? []))
}

/**
 * The patterns of `COPY --exclude`, or one of `COPY --parents`, which mean what lines of an ignore file do except that
 * a leading slash counts.
 * @throws {MalformedPattern}
 */
export function parsePatterns(patterns: readonly string[]): PatternMatcher {
  return createPatternMatcher(patterns.flatMap((pattern) => parseIgnorePattern(pattern) ?? []))
}

function readLine(line: string, number: number): IgnorePattern | undefined {
  if (line.startsWith('#')) return undefined
  const trimmed = line.trim()
  const isException = trimmed.startsWith('!')
  const pattern = isException ? trimmed.slice(1).trim() : trimmed
  if (pattern === '' && !isException) return undefined
  const cleaned = pattern === '' ? '' : cleanPath(pattern)
  const relative = cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned
  return parseIgnorePattern(isException ? `!${relative}` : relative, number)
}
