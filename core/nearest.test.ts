import { describe, expect, it } from 'vitest'
import { findNearest } from './nearest.ts'

describe('findNearest', () => {
  it.each([
    ['FORM', ['FROM', 'ARG'], 'FROM'], ['from', ['FROM'], 'FROM'], ['ENTRYPIONT', ['ENTRYPOINT', 'ENV'], 'ENTRYPOINT'], ['--chwon', ['--chmod', '--chown'], '--chown'],
    ['lock', ['shared', 'locked'], 'locked'], ['VERSON', ['VERSION', 'VERBOSE'], 'VERSION'],
  ])('takes %s among %j for %s', (written, candidates, expected) => {
    expect(findNearest(written, candidates)).toBe(expected)
  })

  it.each([['FOO', ['FROM', 'ARG', 'ADD']], ['x', ['y']], ['', ['a']], ['abc', []], ['a'.repeat(1000), ['a'.repeat(1001)]], ['same', ['same']]])('finds nothing near %s in %j', (written, candidates) => {
    expect(findNearest(written, candidates)).toBeUndefined()
  })
})
