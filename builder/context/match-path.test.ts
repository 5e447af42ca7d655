import { describe, expect, it } from 'vitest'
import { hasWildcard, matchPath } from './match-path.ts'

describe('matchPath', () => {
  it.each([
    ['abc', 'abc'], ['*', 'abc'], ['*c', 'abc'], ['a*', 'a'], ['a*', 'abc'], ['a*/b', 'abc/b'], ['a*b*c*d*e*/f', 'axbxcxdxe/f'], ['a*b*c*d*e*/f', 'axbxcxdxexxx/f'],
    ['a*b?c*x', 'abxbbxdbxebxczzx'], ['ab[c]', 'abc'], ['ab[b-d]', 'abc'], ['ab[^e-g]', 'abc'], ['a\\*b', 'a*b'], ['a?b', 'a☺b'], ['a[^a]b', 'a☺b'], ['[a-ζ]*', 'α'],
    ['[\\]a]', ']'], ['[\\-]', '-'], ['[x\\-]', 'x'], ['[x\\-]', '-'], ['*x', 'xxx'], ['.*', '.hidden'], ['*', '.hidden'], ['[[]x]', '[x]'], ['[*]', '*'],
    ['**', 'abc'], ['a**c', 'abc'], ['**/c', 'b/c'], ['a[^x]b', 'a/b'], ['😀?', '😀😀'], ['[😀-😂]', '😁'], ['', ''],
  ])('%s matches %s', (pattern, path) => {
    expect(matchPath(pattern, path)).toBe('match')
  })

  it.each([
    ['a*', 'ab/c'], ['a*/b', 'a/c/b'], ['*', 'a/b'], ['**', 'a/b'], ['**/c', 'a/b/c'], ['ab[e-g]', 'abc'], ['ab[^c]', 'abc'], ['a\\*b', 'ab'], ['a???b', 'a☺b'],
    ['a?b', 'a/b'], ['a*b', 'a/b'], ['*[ab]x', 'xxx'], ['a', ''], ['', 'a'], ['a*b?c*x', 'abxbbxdbxebxczzy'], ['abc', 'ABC'], ['[x\\-]', 'a'],
  ])('%s does not match %s', (pattern, path) => {
    expect(matchPath(pattern, path)).toBe('no-match')
  })

  it.each(['[]a]', '[-]', '[x-]', '[-x]', '\\', '[a-b-c]', '[', '[^', '[^bc', 'a[', 'a[-', '[a-]', 'x*[', 'a\\'])('%s is malformed whatever the path', (pattern) => {
    expect([matchPath(pattern, 'a'), matchPath(pattern, 'zzz/zz'), matchPath(pattern, '')]).toEqual(['malformed', 'malformed', 'malformed'])
  })

  it('takes no exponential time', () => {
    expect(matchPath(`${'*a'.repeat(2000)}b`, 'a'.repeat(4000))).toBe('no-match')
  })
})

describe('hasWildcard', () => {
  it.each([['a*', true], ['a?b', true], ['[a]', true], ['a\\*', false], ['a\\\\*', true], ['plain/path', false], ['a]b', false], ['', false]])('of %s is %s', (path, expected) => {
    expect(hasWildcard(path)).toBe(expected)
  })
})
