import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseDockerignore, parsePatterns } from './dockerignore.ts'
import { MalformedPattern } from './pattern-error.ts'
import type { PatternMatcher } from './pattern-matcher.ts'
import { rootState } from './pattern-matcher.ts'

interface Recorded {
  readonly files: readonly string[]
  /** `hidden` is what BuildKit did not copy; null where it refused the file. */
  readonly cases: readonly { readonly ignore: string; readonly hidden: readonly string[] | null }[]
}

const recorded = JSON.parse(readFileSync(join(import.meta.dirname, '../../testdata/dockerignore/cases.json'), 'utf8')) as Recorded

/** Every path with its entries, directories first met before what they hold. */
function childrenOf(files: readonly string[]): Map<string, Set<string>> {
  const children = new Map<string, Set<string>>([['', new Set()]])
  for (const file of files) {
    for (let slash = file.indexOf('/'); ; slash = file.indexOf('/', slash + 1)) {
      const path = slash === -1 ? file : file.slice(0, slash)
      const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
      children.get(parent)?.add(path)
      if (slash === -1) break
      if (!children.has(path)) children.set(path, new Set())
    }
  }
  return children
}

/** What a walk leaves out, directories that lead to something kept not counted. `skips` makes it trust mayHoldExceptions. */
function hiddenPaths(matcher: PatternMatcher, files: readonly string[], skips = true): string[] {
  const children = childrenOf(files)
  const kept = new Set<string>()
  const walk = (directory: string, state: readonly number[]): void => {
    for (const path of children.get(directory) ?? []) {
      const { isMatch, state: inner } = matcher.match(path, state)
      if (!isMatch) for (let at = path; at !== ''; at = at.includes('/') ? at.slice(0, at.lastIndexOf('/')) : '') kept.add(at)
      if (children.has(path) && (!isMatch || !skips || matcher.mayHoldExceptions(path))) walk(path, inner)
    }
  }
  walk('', rootState)
  return [...children.values()].flatMap((paths) => [...paths]).filter((path) => !kept.has(path)).sort()
}

describe('parseDockerignore', () => {
  it.each(recorded.cases.filter(({ hidden }) => hidden !== null))('hides what BuildKit hides for $ignore', ({ ignore, hidden }) => {
    expect(hiddenPaths(parseDockerignore(ignore), recorded.files)).toEqual(hidden)
  })

  it.each(recorded.cases.filter(({ hidden }) => hidden === null))('refuses $ignore as BuildKit does', ({ ignore }) => {
    expect(() => parseDockerignore(ignore)).toThrow(MalformedPattern)
  })

  it('names the line of a malformed pattern', () => {
    expect(() => parseDockerignore('a\n# [\n  !b[\n')).toThrow(expect.objectContaining({ code: 'BUILDER_MALFORMED_PATTERN', pattern: '!b[', line: 3 }))
  })

  it('lets a walk skip only directories that hold nothing taken back in', () => {
    for (const { ignore } of recorded.cases.filter(({ hidden }) => hidden !== null)) {
      const matcher = parseDockerignore(ignore)
      expect(hiddenPaths(matcher, recorded.files, true)).toEqual(hiddenPaths(matcher, recorded.files, false))
    }
  })

  it('says that nothing below an ignored directory comes back when no exception could reach it', () => {
    const matcher = parseDockerignore('*\n!src/lib\n!docs/**/*.md')
    expect(matcher.mayHoldExceptions('node_modules')).toBe(false)
    expect(matcher.mayHoldExceptions('src')).toBe(true)
    expect(matcher.mayHoldExceptions('src/other')).toBe(false)
    expect(matcher.mayHoldExceptions('docs/a/b')).toBe(true)
    expect(parseDockerignore('a\nb').mayHoldExceptions('a')).toBe(false)
  })

  it('tells for one path alone whether it or a directory above it is left out', () => {
    const matcher = parseDockerignore('vendor\n*.log\n!vendor/keep\nvendor/keep/not')
    expect(['vendor', 'vendor/x/y', 'a.log', 'vendor/keep', 'vendor/keep/a', 'vendor/keep/not/a', 'src/a.log'].map((path) => matcher.matches(path)))
      .toEqual([true, true, true, false, false, true, false])
  })

  it('matches a line feed in a name as Go\'s regular expressions do: by a class or ?, not by **', () => {
    const isHidden = (pattern: string): boolean => parseDockerignore(pattern).match('a/x\ny/b', rootState).isMatch
    expect(['a/**/b', 'a/x?y/b', 'a/*/b', 'a/**', '**/b', 'a/x[^z]y/b'].map(isHidden)).toEqual([false, true, true, true, true, true])
  })

  it('stays fast on patterns that make backtracking engines explode', () => {
    const path = `${'a/'.repeat(500)}b`
    for (const pattern of [`${'**/'.repeat(300)}x`, `${'a*'.repeat(300)}b`, `${'**/a*'.repeat(200)}/x`, '?*'.repeat(300), `${'[a-z]*/'.repeat(200)}x`]) {
      expect(parseDockerignore(pattern).match(path, rootState).isMatch).toBe(false)
    }
  })
})

describe('parsePatterns', () => {
  it('keeps a leading slash, which no relative path has', () => {
    expect(parsePatterns(['/a']).match('a', rootState).isMatch).toBe(false)
    expect(parsePatterns(['a']).match('a', rootState).isMatch).toBe(true)
  })
})
