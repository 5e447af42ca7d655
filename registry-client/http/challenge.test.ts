import { describe, expect, it } from 'vitest'
import { parseChallenges } from './challenge.ts'
import { mergeScopes, parseScopes } from './scope.ts'

const read = (header: string): unknown => parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

describe('parseChallenges', () => {
  it.each([
    ['Basic realm="x"', [['basic', { realm: 'x' }]]],
    ['Bearer realm="https://a/token",service="a",scope="repository:x:pull,push"', [['bearer', { realm: 'https://a/token', service: 'a', scope: 'repository:x:pull,push' }]]],
    ['bearer REALM=bare , service = "spaced"', [['bearer', { realm: 'bare', service: 'spaced' }]]],
    ['Negotiate, Basic realm="a, \\"b\\"", Bearer realm="c"', [['negotiate', {}], ['basic', { realm: 'a, "b"' }], ['bearer', { realm: 'c' }]]],
    ['', []],
    ['"junk', []],
    ['Basic realm="unterminated', [['basic', {}], ['realm', {}]]],
  ])('reads %s', (header, expected) => {
    expect(read(header)).toEqual(expected)
  })

  it('reads no more than ten', () => {
    expect(parseChallenges(Array.from({ length: 1000 }, (_, index) => `S${index} realm="x"`).join(', '))).toHaveLength(10)
  })

  it('comes to an end with hostile headers', () => {
    const hostile = ['a='.repeat(8000), `Bearer realm="${'\\'.repeat(16_000)}`, ','.repeat(16_000), ' '.repeat(16_000), `Bearer realm="${'\\"'.repeat(8000)}`]
    expect(hostile.map((header) => parseChallenges(header).length > 10)).not.toContain(true)
  })
})

describe('scopes', () => {
  it('are merged by resource, in one order', () => {
    expect(mergeScopes(['repository:b:pull'], ['repository:a:push,pull', 'repository:b:push'])).toEqual(['repository:a:pull,push', 'repository:b:pull,push'])
    expect(mergeScopes(['repository:reg:5000/x:pull'])).toEqual(['repository:reg:5000/x:pull'])
  })

  it('of a challenge are left out when they are malformed', () => {
    expect(parseScopes('repository:a:pull registry:catalog:* junk repository:a repository(plugin):x:pull')).toEqual(['repository:a:pull', 'registry:catalog:*', 'repository(plugin):x:pull'])
    expect(parseScopes(undefined)).toEqual([])
  })
})
