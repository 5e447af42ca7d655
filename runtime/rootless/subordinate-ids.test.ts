import { describe, expect, it } from 'vitest'
import { formatIdMap, isMapped, parseIdMap } from './id-maps.ts'
import { findSharedRanges, parseSubordinateIds, planIdMaps } from './subordinate-ids.ts'

const ann = { name: 'ann', uid: 1000, gid: 1000 }
const plan = (uids: string, gids = uids): ReturnType<typeof planIdMaps> => planIdMaps(ann, { uids: parseSubordinateIds(uids), gids: parseSubordinateIds(gids) })

describe('planIdMaps', () => {
  it('makes the owner root and puts every range of theirs behind, by name or id', () => {
    expect(plan('bob:100000:65536\nann:165536:65536\n1000:300000:10\n')).toEqual({
      uids: [{ inside: 0, outside: 1000, count: 1 }, { inside: 1, outside: 165536, count: 65536 }, { inside: 65537, outside: 300000, count: 10 }],
      gids: expect.any(Array) as unknown,
    })
  })

  it.each([
    ['none at all', '', '/etc/subuid has no range'],
    ['none of groups', 'ann:165536:65536', '/etc/subgid has no range'],
    ['root lent', 'ann:0:10', 'contains root'],
    ['the owner in the range', 'ann:900:200', 'contains root or user "ann" (1000)'],
    ['two that overlap', 'ann:100000:100\nann:100099:100', 'overlaps another'],
  ])('has a reason against %s', (_, uids, reason) => {
    expect(plan(uids, reason.startsWith('/etc/subgid') ? '' : uids)).toEqual({ reason: expect.stringContaining(reason) as unknown })
  })

  it('takes neighbours that touch', () => {
    expect(plan('ann:100000:100\nann:100100:100')).toHaveProperty('uids')
  })
})

it.each(['ann:1:', 'ann:-1:5', 'ann:1:0', 'ann:4294967290:65536', '#ann:1:5', 'ann:1', 'ann:1:5:6', ':1:5', 'ann:0x1:5'])('reads no range from %j', (line) => {
  expect(parseSubordinateIds(line)).toEqual([])
})

it('finds ranges that different owners share', () => {
  const ranges = parseSubordinateIds('ann:100000:100\nbob:100099:100\ncid:100200:1')
  expect(findSharedRanges(ranges).map(([one, other]) => [one.owner, other.owner])).toEqual([['ann', 'bob']])
})

it('reads the kernel\'s maps and writes them', () => {
  const ranges = parseIdMap('         0       1001          1\n         1     100000      65536\n')
  expect(formatIdMap(ranges)).toBe('0 1001 1\n1 100000 65536\n')
  expect([0, 1, 65536, 65537].map((id) => isMapped(ranges, id))).toEqual([true, true, true, false])
})
