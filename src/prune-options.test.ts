import { describe, expect, it } from 'vitest'
import { parseConfig } from './config.ts'
import type { PolicyTexts } from './prune-options.ts'
import { parsePolicy } from './prune-options.ts'

const none: PolicyTexts = { what: 'all', filter: [], 'keep-last': undefined, 'max-bytes': undefined, 'max-inodes': undefined, 'min-free-bytes': undefined, 'min-free-inodes': undefined }
const now = Date.parse('2026-11-22T12:00:00Z')
const filters = (...filter: string[]): ReturnType<typeof parsePolicy>['filters'] => parsePolicy({ ...none, filter }, now).filters

describe('a policy', () => {
  it('takes sizes, numbers and shares', () => {
    expect(parsePolicy({ ...none, 'keep-last': '3', 'max-bytes': '2g', 'max-inodes': '1000', 'min-free-bytes': '10%', 'min-free-inodes': '500' }, now)).toMatchObject({
      keepLast: 3,
      budgets: { maxBytes: 2 ** 31, maxInodes: 1000, minFreeBytes: { kind: 'share', share: 0.1 }, minFreeInodes: { kind: 'count', count: 500 } },
    })
  })

  it.each([['48h', 48], ['1h30m', 1.5], ['7d', 168], ['1w', 168], ['90m', 1.5]])('until=%s means %d hours ago', (text, hours) => {
    expect(filters(`until=${text}`).beforeMs).toBe(now - hours * 3_600_000)
  })

  it('until takes times, too', () => {
    expect(filters('until=2026-01-31T12:00:00Z').beforeMs).toBe(Date.parse('2026-01-31T12:00:00Z'))
    expect(filters('until=1700000000').beforeMs).toBe(1_700_000_000_000)
  })

  it('matches names as docker lists them, whole, short, with and without tag', () => {
    const matches = (pattern: string, name: string): boolean | undefined => filters(`reference=${pattern}`).name?.(name)
    const name = 'docker.io/library/app:1.0'
    for (const pattern of ['app', 'app:*', 'a*', 'app:1.?', name]) expect([pattern, matches(pattern, name)]).toEqual([pattern, true])
    for (const pattern of ['ap', 'app:2*', '*/app', 'app:1x0']) expect([pattern, matches(pattern, name)]).toEqual([pattern, false])
    expect(matches('localhost:5000/*', 'localhost:5000/team/app:1')).toBe(false)
    expect(matches('localhost:5000/*/app', 'localhost:5000/team/app:1')).toBe(true)
  })

  it('asks for labels, and for their absence', () => {
    const test = filters('label=a', 'label=b=1', 'label!=c', 'label!=d=2').labels
    expect(test?.({ a: '', b: '1', d: '1' })).toBe(true)
    for (const labels of [{ b: '1' }, { a: '', b: '2' }, { a: '', b: '1', c: '' }, { a: '', b: '1', d: '2' }]) expect(test?.(labels)).toBe(false)
  })

  it('takes the older of two ages, and refuses two filters that nothing passes', () => {
    expect(filters('until=48h', 'until=1h', 'until=24h').beforeMs).toBe(now - 48 * 3_600_000)
    expect(filters('type=image', 'type=image', 'dangling=true', 'dangling=1')).toMatchObject({ kind: 'image', isDangling: true })
    for (const [one, other] of [['type=image', 'type=cache'], ['dangling=true', 'dangling=false']] as const) expect(() => filters(one, other)).toThrow(expect.objectContaining({ code: 'CLI_USAGE' }))
  })

  it.each(['until=soon', 'until=', 'label==', 'size=3', 'dangling=maybe', 'type=volume', 'reference=', 'nonsense', 'until!=3h'])('refuses filter %s', (filter) => {
    expect(() => filters(filter)).toThrow(expect.objectContaining({ code: 'CLI_USAGE' }))
  })

  it.each([['keep-last', '-1'], ['max-bytes', 'much'], ['min-free-bytes', '101%'], ['max-inodes', '10%']] as const)('refuses %s %s', (key, text) => {
    expect(() => parsePolicy({ ...none, [key]: text }, now)).toThrow(expect.objectContaining({ code: 'CLI_USAGE' }))
  })
})

describe('section gc of the configuration file', () => {
  it('is one policy, or several', async () => {
    expect(await parseConfig('[gc]\nkeep-last = 3\nmin-free-inodes = "10%"\n', 'f')).toEqual({ gc: [{ ...none, 'keep-last': '3', 'min-free-inodes': '10%' }], containers: new Map() })
    const { gc } = await parseConfig('[[gc]]\nwhat = "dangling"\nfilter = ["until=720h"]\n[[gc]]\nmax-bytes = "50g"\n', 'f')
    expect(gc).toEqual([{ ...none, what: 'dangling', filter: ['until=720h'] }, { ...none, 'max-bytes': '50g' }])
  })

  it.each(['[gc]\nkeep-lats = 3', '[gc]\nkeep-last = true', '[gc]\nfilter = "until=3h"', '[gc]\nwhat = "some"', '[cg]', '[gc', 'gc = 3'])('is refused when it says %j', async (text) => {
    await expect(parseConfig(text, 'f')).rejects.toMatchObject({ code: 'CLI_USAGE' })
  })
})
