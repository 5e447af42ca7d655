import { describe, expect, it } from 'vitest'
import { nearest } from './nearest.ts'

describe('nearest', () => {
  it.each([['no-cahce', 'no-cache'], ['tga', 'tag'], ['build-args', 'build-arg'], ['TARGET', 'target']])('finds for %s %s', (word, expected) => {
    expect(nearest(word, ['tag', 'target', 'no-cache', 'build-arg', 'network'])).toBe(expected)
  })

  it('says nothing when nothing is near', () => {
    expect(nearest('frobnicate', ['tag', 'target'])).toBeUndefined()
    expect(nearest('x', [])).toBeUndefined()
  })
})
