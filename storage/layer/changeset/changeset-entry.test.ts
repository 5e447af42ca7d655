import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareEntryPaths } from './changeset-entry.ts'

describe('compareEntryPaths', () => {
  it('puts a directory right before what is in it', () => {
    const sorted = ['', 'a', 'a/b', 'a/b/c', 'a/c', 'a-b', 'a.b', 'aa', 'b', 'é']
    expect(sorted.toReversed().map((path) => Buffer.from(path)).sort(compareEntryPaths).map(String)).toEqual(sorted)
  })

  it('orders paths as a walk with sorted names meets them', () => {
    const path = fc.array(fc.constantFrom('a', 'b', 'a-', '-', 'ü', '\x01', '~'), { minLength: 1, maxLength: 4 })
    fc.assert(fc.property(path, path, (one, other) => {
      const index = one.findIndex((name, at) => name !== other[at])
      const byNames = index === -1 ? one.length - other.length
        : other[index] === undefined ? 1 : Buffer.compare(Buffer.from(one[index] ?? ''), Buffer.from(other[index]))
      expect(Math.sign(compareEntryPaths(Buffer.from(one.join('/')), Buffer.from(other.join('/'))))).toBe(Math.sign(byNames))
    }))
  })
})
