import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDockerignore } from './dockerignore.ts'
import { cleanPath } from './ignore-pattern.ts'
import { createLiteralIndex } from './literal-index.ts'
import { matchPath } from './match-path.ts'
import { MalformedPattern } from './pattern-error.ts'
import { rootState } from './pattern-matcher.ts'

const path = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '.', '日'), minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }).map((parts) => cleanPath(parts.join('/'))).filter((text) => !text.startsWith('.'))
const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '**', '?', '.', '日', '[ab]', '[^a]', '**/'), minLength: 1, maxLength: 6 })

/** The regular expression the pattern stands for, for an engine that backtracks. */
function expression(text: string): RegExp {
  const source = text.replace(/\*\*\/?$|\*\*\/?|\*|\?|\./gu, (piece, offset: number) => {
    if (piece === '.') return '\\.'
    if (piece === '*') return '[^/]*'
    if (piece === '?') return '[^/]'
    return offset + piece.length === text.length ? '.*' : '(?:.*/)?'
  })
  return new RegExp(`^${source}$`, 'u')
}

describe('ignore patterns', () => {
  it('match as the regular expressions they stand for', () => {
    fc.assert(fc.property(pattern, path, (text, file) => {
      const cleaned = cleanPath(text).replace(/^\//u, '')
      fc.pre(cleaned !== '' && cleaned !== '/')
      // A pattern that is `**` and plain text compares ends: `**b` takes `ab`, where its expression would want a slash.
      fc.pre(!/^\*\*[^/*?[]/u.test(cleaned))
      const { isMatch } = parseDockerignore(text).match(file, rootState)
      expect(isMatch).toBe(expression(cleaned).test(file))
    }), { numRuns: 3000 })
  })

  it('decide for a path alone as in a walk, where there are no exceptions', () => {
    fc.assert(fc.property(fc.array(pattern, { maxLength: 5 }), path, (patterns, file) => {
      const matcher = parseDockerignore(patterns.join('\n'))
      let state = rootState
      let isMatch = false
      const parts = file.split('/')
      for (const [index] of parts.entries()) ({ isMatch, state } = matcher.match(parts.slice(0, index + 1).join('/'), state))
      expect(isMatch).toBe(matcher.matches(file))
    }), { numRuns: 2000 })
  })

  it('are understood or refused, whatever they hold', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...Array.from('ab/*?[]^-\\!#.{}$()|+ \n')), maxLength: 30 }), path, (text, file) => {
      try {
        parseDockerignore(text).match(file, rootState)
      } catch (error) {
        if (!(error instanceof MalformedPattern)) throw error
      }
      matchPath(text, file)
    }), { numRuns: 3000 })
  })
})

describe('createLiteralIndex', () => {
  it('finds every literal that a text holds', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 5 })
    fc.assert(fc.property(fc.array(letters, { maxLength: 10 }), fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 20 }), (literals, text) => {
      const found = new Set<number>()
      createLiteralIndex(literals).find(text, (number) => found.add(number))
      expect([...found].sort()).toEqual(literals.flatMap((literal, number) => literal !== '' && text.includes(literal) ? [number] : []).sort())
    }))
  })
})
