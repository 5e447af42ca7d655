import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CgroupHierarchy } from './hierarchies.ts'
import { v1Driver } from './v1.ts'
import { v2Driver } from './v2.ts'

let root = ''
beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'tsbuild-cgroup-')) })
afterEach(() => { rmSync(root, { recursive: true }) })

/** A folder with files, as the kernel shows a group. */
function makeGroup(path: string, files: Readonly<Record<string, string>>): string {
  const folder = join(root, path)
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const read = (folder: string, file: string): string => readFileSync(join(folder, file), 'utf8')
const hierarchy = (own: string, controllers = ['cpu', 'memory', 'pids']): CgroupHierarchy => ({ kind: 'v2', mountPoint: root, controllers, ownGroup: join(root, own) })

describe('the v2 driver', () => {
  it('writes each limit in the kernel\'s words', () => {
    const folder = makeGroup('g', { 'memory.max': '', 'memory.swap.max': '', 'cpu.max': '', 'pids.max': '' })
    const limits = { memoryBytes: 1_000_000, memorySwapBytes: 3_000_000, cpus: 1.5, pids: 42 }
    for (const controller of ['memory', 'cpu', 'pids'] as const) v2Driver.applyLimits(folder, controller, limits)
    expect([read(folder, 'memory.max'), read(folder, 'memory.swap.max'), read(folder, 'cpu.max'), read(folder, 'pids.max')]).toEqual(['1000000', '2000000', '150000 100000', '42'])
  })

  it('writes unlimited swap as max, and nothing that is not asked for', () => {
    const folder = makeGroup('g', { 'memory.max': 'max', 'memory.swap.max': '0' })
    v2Driver.applyLimits(folder, 'memory', { memoryBytes: 5, memorySwapBytes: -1 })
    v2Driver.applyLimits(folder, 'cpu', { memoryBytes: 5 })
    expect(read(folder, 'memory.swap.max')).toBe('max')
  })

  it('names a limit that this kernel lacks', () => {
    const folder = makeGroup('g', { 'memory.max': 'max' })
    expect(() => { v2Driver.applyLimits(folder, 'memory', { memoryBytes: 5, memorySwapBytes: 5 }) }).toThrow(expect.objectContaining({ code: 'RUNTIME_LIMIT_NOT_APPLICABLE', controller: 'memory' }))
  })

  it('reads what was used', () => {
    const folder = makeGroup('g', {
      'memory.peak': '123456\n', 'memory.events': 'low 0\nhigh 0\nmax 17\noom 2\noom_kill 1\noom_group_kill 0\n',
      'cpu.stat': 'usage_usec 2500\nuser_usec 2000\nsystem_usec 500\n', 'pids.peak': '9\n', 'pids.events': 'max 4\n',
    })
    expect(v2Driver.readUsage(folder, 'memory')).toEqual({ memoryPeakBytes: 123_456, oomKills: 1 })
    expect(v2Driver.readUsage(folder, 'cpu')).toEqual({ cpuMs: 2.5 })
    expect(v2Driver.readUsage(folder, 'pids')).toEqual({ pidsPeak: 9, pidsDenied: 4 })
  })

  it('says nothing of what an older kernel does not count', () => {
    expect(v2Driver.readUsage(makeGroup('g', { 'memory.events': 'oom_kill 0\n' }), 'memory')).toEqual({ memoryPeakBytes: undefined, oomKills: 0 })
  })

  it('uses our own group when that may have children with the controllers, as the root may', () => {
    makeGroup('', { 'cgroup.subtree_control': 'memory pids\n', 'cgroup.controllers': 'cpu memory pids\n' })
    expect(v2Driver.findParent(hierarchy(''), ['memory'])).toBe(root)
  })

  it('goes up to the nearest group that gives the controllers to its children', () => {
    makeGroup('', { 'cgroup.subtree_control': 'cpu memory pids\n', 'cgroup.controllers': 'cpu memory pids\n' })
    makeGroup('user', { 'cgroup.subtree_control': 'memory pids\n', 'cgroup.controllers': 'cpu memory pids\n' })
    makeGroup('user/session', { 'cgroup.subtree_control': '\n', 'cgroup.controllers': 'memory pids\n' })
    expect(v2Driver.findParent(hierarchy('user/session'), ['memory', 'pids'])).toBe(join(root, 'user'))
    expect(v2Driver.findParent(hierarchy('user/session'), ['memory', 'cpu'])).toBe(root)
  })

  it('switches controllers on where no group has them yet', () => {
    makeGroup('', { 'cgroup.subtree_control': 'cpu\n', 'cgroup.controllers': 'cpu memory pids\n' })
    expect(v2Driver.findParent(hierarchy(''), ['cpu', 'memory', 'pids'])).toBe(root)
    expect(read(root, 'cgroup.subtree_control')).toBe('+memory +pids')
  })

  it('names the controller that the host does not have, or that our group does not get', () => {
    makeGroup('', { 'cgroup.subtree_control': '\n', 'cgroup.controllers': 'hugetlb\n', 'cgroup.procs': '1\n' })
    expect(() => v2Driver.findParent(hierarchy('', ['hugetlb']), ['memory'])).toThrow(expect.objectContaining({ code: 'RUNTIME_LIMIT_NOT_APPLICABLE', controller: 'memory', reason: expect.stringContaining('not available') as string }))
    expect(() => v2Driver.findParent(hierarchy('', ['memory']), ['memory'])).toThrow(expect.objectContaining({ controller: 'memory', reason: expect.stringContaining('does not get the memory controller') as string }))
  })
})

describe('the v1 driver', () => {
  it('writes each limit in the kernel\'s words', () => {
    const folder = makeGroup('g', { 'memory.limit_in_bytes': '', 'memory.memsw.limit_in_bytes': '', 'cpu.cfs_period_us': '', 'cpu.cfs_quota_us': '', 'pids.max': '' })
    const limits = { memoryBytes: 1_000_000, memorySwapBytes: -1, cpus: 0.25, pids: 42 }
    for (const controller of ['memory', 'cpu', 'pids'] as const) v1Driver.applyLimits(folder, controller, limits)
    expect(['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes', 'cpu.cfs_period_us', 'cpu.cfs_quota_us', 'pids.max'].map((file) => read(folder, file))).toEqual(['1000000', '-1', '100000', '25000', '42'])
  })

  it('says how to get the swap limit of a kernel that does not count swap', () => {
    const folder = makeGroup('g', { 'memory.limit_in_bytes': '' })
    expect(() => { v1Driver.applyLimits(folder, 'memory', { memoryBytes: 5, memorySwapBytes: 5 }) }).toThrow(expect.objectContaining({ controller: 'memory', reason: expect.stringContaining('swapaccount=1') as string }))
  })

  it('reads what was used', () => {
    const folder = makeGroup('g', { 'memory.max_usage_in_bytes': '123\n', 'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n', 'pids.events': 'max 7\n' })
    expect(v1Driver.readUsage(folder, 'memory')).toEqual({ memoryPeakBytes: 123, oomKills: 3 })
    expect(v1Driver.readUsage(folder, 'pids')).toEqual({ pidsPeak: undefined, pidsDenied: 7 })
  })
})
