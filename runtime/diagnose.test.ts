import { describe, expect, it } from 'vitest'
import type { HostFacts } from './diagnose.ts'
import { judgeHost } from './diagnose.ts'
import { probeHost } from './host-support.ts'

const yes = { isOffered: true } as const
const no = { isOffered: false, reason: 'not here' } as const
const all = 2n ** 41n - 1n
const good: HostFacts = {
  host: { ...probeHost(), overlay: yes, userNamespaces: yes, idMaps: undefined, controllers: { memory: yes, pids: yes, cpu: yes, cpuset: yes, io: yes, hugetlb: yes, devices: yes }, capabilities: all },
  isRoot: true, ids: undefined, sharedRanges: [], root: { path: '/r', problem: undefined }, arch: 'x64',
}

const bad = (change: Partial<HostFacts>): string[] => judgeHost({ ...good, ...change }).filter(({ state }) => state !== 'ok').map(({ what, state }) => `${state}: ${what}`)

describe('judgeHost', () => {
  it('finds nothing wrong with a host that has everything', () => {
    expect(bad({})).toEqual([])
  })

  it.each<[string, Partial<HostFacts>, string[]]>([
    ['overlay', { host: { ...good.host, overlay: no } }, ['blocking: overlay filesystem']],
    ['the capabilities of root', { host: { ...good.host, capabilities: 0n } }, ['blocking: namespaces', 'lacking: bridge network']],
    ['user namespaces for a plain user', { isRoot: false, host: { ...good.host, userNamespaces: no } }, ['blocking: user namespaces', 'lacking: bridge network']],
    ['a controller', { host: { ...good.host, controllers: { ...good.host.controllers, hugetlb: no } } }, ['lacking: cgroup hugetlb']],
    ['subordinate ids', { isRoot: false, ids: { kind: 'single', maps: { uids: [], gids: [] }, reason: 'none' } }, ['lacking: subordinate ids', 'lacking: bridge network']],
    ['ids of one\'s own', { sharedRanges: ['a and b'] }, ['lacking: subordinate ids']],
    ['a place for the state', { root: { path: '/r', problem: 'read-only' } }, ['blocking: state directory']],
    ['a known machine', { arch: 'ppc64' }, ['blocking: system call filter']],
  ])('names what is missing: %s', (_, change, expected) => {
    expect(bad(change)).toEqual(expected)
    expect(judgeHost({ ...good, ...change }).every(({ state, remedy }) => state === 'ok' || remedy !== undefined)).toBe(true)
  })
})
