import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Canceled } from '../../core/errors.ts'
import { createContainerCgroup, removeStaleCgroups } from '../../runtime/cgroup/container-cgroup.ts'
import { findHierarchies } from '../../runtime/cgroup/hierarchies.ts'
import type { Limits } from '../../runtime/index.ts'
import { cgroupFile, isUnified } from '../support/cgroup-files.ts'
import type { Finished } from '../support/container.ts'
import { makeSpec, run, runScript, runSpec } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const rootfs = () => ({ kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' }) as const
afterAll(() => { workspace[Symbol.dispose]() })

const mebibyte = 1024 * 1024

describe('the memory limit', () => {
  it('is named, with the peak, when the process dies of it', async () => {
    const { exit } = await run({ args: ['/bin/probe', 'allocate', '200'], rootfs: rootfs(), limits: { memoryBytes: 32 * mebibyte, memorySwapBytes: 32 * mebibyte } })
    expect(exit).toMatchObject({ exitCode: 137, signal: 'SIGKILL', cause: { limit: 'memory', configured: 32 * mebibyte } })
    expect(exit.usage.oomKills).toBe(1)
    expect(exit.cause?.peak).toBeGreaterThan(31 * mebibyte)
    expect(exit.cause?.peak).toBeLessThanOrEqual(32 * mebibyte)
  })

  it('is named also when a shell hides what died of it', async () => {
    const { exit } = await run({ args: ['/bin/sh', '-c', 'probe allocate 200; true'], rootfs: rootfs(), limits: { memoryBytes: 32 * mebibyte, memorySwapBytes: 32 * mebibyte } })
    expect(exit).toMatchObject({ exitCode: 0, signal: undefined, cause: { limit: 'memory' } })
  })

  it('is not blamed for a SIGKILL of another origin', async () => {
    const { exit } = await run({ args: ['/bin/sh', '-c', 'kill -9 $$'], rootfs: rootfs(), limits: { memoryBytes: 64 * mebibyte } })
    expect(exit).toMatchObject({ exitCode: 137, cause: undefined, usage: { oomKills: 0 } })
  })

  it('counts what is in memory only, in /dev/shm for example', async () => {
    const { exit } = await run({ args: ['/bin/dd', 'if=/dev/zero', 'of=/dev/shm/x', 'bs=1M', 'count=60'], rootfs: rootfs(), limits: { memoryBytes: 24 * mebibyte, memorySwapBytes: 24 * mebibyte } })
    expect(exit.cause?.limit).toBe('memory')
  })

  it('can be as low as 6 MiB', async () => {
    const limits = { memoryBytes: 6 * mebibyte, memorySwapBytes: 6 * mebibyte }
    expect((await run({ args: ['/bin/sh', '-c', 'ls | wc -l'], rootfs: rootfs(), limits })).exit).toMatchObject({ exitCode: 0, cause: undefined })
    expect((await run({ args: ['/bin/probe', 'allocate', '8'], rootfs: rootfs(), limits })).exit).toMatchObject({ exitCode: 137, cause: { limit: 'memory' } })
  })

  it('leaves a process within it alone, and is what the process can read', async () => {
    const [limit] = await runScript(`probe allocate 16; cat ${cgroupFile('memory/memory.limit_in_bytes', 'memory.max')}`, { rootfs: rootfs(), limits: { memoryBytes: 64 * mebibyte } })
    expect(limit).toBe(String(64 * mebibyte))
  })
})

describe('the pids limit', () => {
  it('stops forks at the number, init not counted, and is named', async () => {
    const { exit, stdout } = await run({ args: ['/bin/probe', 'forks', '50'], rootfs: rootfs(), limits: { pids: 10 } })
    expect(stdout).toBe('9\n')
    expect(exit).toMatchObject({ exitCode: 0, cause: { limit: 'pids', configured: 10, peak: 10 } })
    expect(exit.usage.pidsDenied).toBe(41)
  })

  it('survives a fork bomb', async () => {
    const { exit } = await run({ args: ['/bin/sh', '-c', `bomb() { bomb | bomb & }; bomb; until read word denied < ${cgroupFile('pids/pids.events', 'pids.events')} && [ $denied -gt 0 ]; do :; done; sleep 0.5; exit 4`], rootfs: rootfs(), limits: { pids: 50 } })
    expect(exit.cause?.limit).toBe('pids')
    expect(exit.usage.pidsPeak).toBe(50)
  })
})

describe('the cpu limit', () => {
  it('holds processor time back', async () => {
    const { exit: { usage: { cpuMs = 0, wallMs } } } = await run({ args: ['/bin/sh', '-c', 'i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done'], rootfs: rootfs(), limits: { cpus: 0.2 } })
    expect(cpuMs).toBeGreaterThan(50)
    expect(cpuMs / wallMs).toBeLessThan(0.5)
  })

  it('is what the kernel was told', async () => {
    const files = isUnified ? 'cpu.max' : 'cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us'
    expect((await runScript(`cd /sys/fs/cgroup; cat ${files}`, { rootfs: rootfs(), limits: { cpus: 1.5 } })).join(' ')).toBe('150000 100000')
  })
})

const readSetting = async (file: string, limits: Limits): Promise<string[]> => runScript(`cat ${file}`, { rootfs: rootfs(), limits })
const disk = findDisk()

describe('further limits', () => {
  it('of memory are what the kernel was told; swap is as much again unless said otherwise', async () => {
    // Version 1 counts memory and swap together, version 2 swap alone.
    const swap = cgroupFile('memory/memory.memsw.limit_in_bytes', 'memory.swap.max')
    const memory = isUnified ? 0 : 64 * mebibyte
    expect(await readSetting(swap, { memoryBytes: 64 * mebibyte })).toEqual([String(memory + 64 * mebibyte)])
    expect(await readSetting(swap, { memoryBytes: 64 * mebibyte, memorySwapBytes: 70 * mebibyte })).toEqual([String(memory + 6 * mebibyte)])
    expect(await readSetting(cgroupFile('memory/memory.soft_limit_in_bytes', 'memory.low'), { memoryReservationBytes: 32 * mebibyte })).toEqual([String(32 * mebibyte)])
  })

  it('of how eagerly memory is swapped exist in version 1 alone', async () => {
    const reading = readSetting(cgroupFile('memory/memory.swappiness', 'memory.max'), { memorySwappiness: 7 })
    if (isUnified) await expect(reading).rejects.toMatchObject({ code: 'RUNTIME_LIMIT_NOT_APPLICABLE', controller: 'memory' })
    else expect(await reading).toEqual(['7'])
  })

  it('of processors are shares and sets', async () => {
    expect(await readSetting(cgroupFile('cpu/cpu.shares', 'cpu.weight'), { cpuShares: 512 })).toEqual([isUnified ? '20' : '512'])
    expect(await runScript(`cat ${cgroupFile('cpuset/cpuset.cpus', 'cpuset.cpus')}; sed -n "s/^Cpus_allowed_list:.//p" /proc/self/status`, { rootfs: rootfs(), limits: { cpusetCpus: '0' } })).toEqual(['0', '0'])
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), limits: { cpusetCpus: '4000' } })).rejects.toMatchObject({ code: 'RUNTIME_LIMIT_NOT_APPLICABLE', controller: 'cpuset' })
  })

  it('of disks are rates by device', async () => {
    const limits = { deviceRates: [{ device: disk, operation: 'write', unit: 'bytes', perSecond: 1_000_000 }, { device: disk, operation: 'read', unit: 'operations', perSecond: 77 }] } as const
    const files = isUnified ? 'io.max' : 'blkio/blkio.throttle.write_bps_device blkio/blkio.throttle.read_iops_device'
    const lines = await runScript(`cd /sys/fs/cgroup; cat ${files}`, { rootfs: rootfs(), limits })
    expect(lines.map((line) => line.slice(line.indexOf(' ') + 1))).toEqual(isUnified ? ['rbps=max wbps=1000000 riops=77 wiops=max'] : ['1000000', '77'])
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), limits: { deviceRates: [{ device: '/dev/null', operation: 'read', unit: 'bytes', perSecond: 1 }] } })).rejects.toMatchObject({ code: 'RUNTIME_LIMIT_NOT_APPLICABLE', controller: 'io' })
  })

  it('that this host cannot enforce name what is missing', async () => {
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), limits: { hugetlbBytes: { '3KB': 0 } } })).rejects.toMatchObject({ code: 'RUNTIME_LIMIT_NOT_APPLICABLE', controller: 'hugetlb' })
  })

  it('of processors are reported when they held the process back', async () => {
    const script = `until grep -Eq 'nr_throttled ([3-9]|[1-9][0-9])' ${cgroupFile('cpu/cpu.stat', 'cpu.stat')}; do :; done`
    const { exit: { usage } } = await run({ args: ['/bin/sh', '-c', script], rootfs: rootfs(), limits: { cpus: 0.1 } })
    expect(usage.cpuPeriods).toBeGreaterThan(2)
    expect(usage.cpuThrottledPeriods).toBeGreaterThan(0)
    expect(usage.cpuThrottledMs).toBeGreaterThan(10)
  })

  it('name the process that ran out of memory', async () => {
    const { exit } = await run({ args: ['/bin/sh', '-c', 'probe allocate 200'], rootfs: rootfs(), limits: { memoryBytes: 32 * mebibyte, memorySwapBytes: 32 * mebibyte } })
    expect(exit.cause?.victim?.name).toBe('probe')
  })
})

describe('the disk that a container writes to', () => {
  it('is named when it is full, by bytes or by inodes', async () => {
    for (const [option, script, limit] of [['size=2m', 'cat /dev/zero > /big', 'disk-bytes'], ['nr_inodes=40', 'for i in $(seq 100); do : > /$i || exit 1; done', 'disk-inodes']] as const) {
      const folder = workspace.makeFolder()
      execFileSync('mount', ['-t', 'tmpfs', '-o', option, 'tmpfs', folder])
      try {
        const upper = { upperdir: join(folder, 'upper'), workdir: join(folder, 'work') }
        mkdirSync(upper.upperdir)
        mkdirSync(upper.workdir)
        const { exit } = await run({ args: ['/bin/sh', '-c', script], rootfs: { ...rootfs(), upper } })
        expect(exit).toMatchObject({ exitCode: 1, cause: { limit } })
      } finally {
        execFileSync('umount', [folder])
      }
    }
  })
})

describe('devices', () => {
  const tryOpen = `mknod /disk b 7 0; mknod /kmsg c 1 11; for node in /disk /kmsg /dev/zero; do (exec 3< $node) 2> /dev/null && echo $node opened; done; true`

  it('of the host cannot be opened by whoever makes a node of them', async () => {
    expect(await runScript(tryOpen, { rootfs: rootfs() })).toEqual(['/dev/zero opened'])
    expect(await runScript(tryOpen, { rootfs: rootfs(), privilege: { isPrivileged: true } })).toEqual(['/disk opened', '/kmsg opened', '/dev/zero opened'])
  })

  it('can be opened when given, in the ways allowed', async () => {
    const given = (permissions: string) => runScript('(exec 3< /dev/tunnel) 2> /dev/null && echo read; true', { rootfs: rootfs(), devices: [{ source: '/dev/net/tun', target: '/dev/tunnel', permissions }] })
    expect(await given('r')).toEqual(['read'])
    expect(await given('w')).toEqual([])
  })

  it('are limited by a program on version 2 of cgroups', () => {
    const unified = findHierarchies().find(({ kind }) => kind === 'v2')
    const opened = (rules: unknown): unknown => JSON.parse(execFileSync(process.execPath, [join(import.meta.dirname, '../support/device-group.ts'), unified?.mountPoint ?? '', JSON.stringify(rules), '/dev/null', '/dev/zero', '/dev/kmsg'], { encoding: 'utf8' }))
    expect(opened([])).toEqual(['EPERM', 'EPERM', 'EPERM'])
    expect(opened([{ kind: 'c', major: 1, minor: 3, permissions: 'rw' }])).toEqual(['opened', 'EPERM', 'EPERM'])
    expect(opened([{ kind: 'c', major: 1, permissions: 'r' }, { kind: 'b', permissions: 'rwm' }])).toEqual(['opened', 'opened', 'opened'])
    expect(opened([{ kind: 'c', major: 1, permissions: 'wm' }])).toEqual(['EPERM', 'EPERM', 'EPERM'])
  })
})

/** With ever more time, until the process had come to say that it is ready when it was over. */
async function runOutOfTime(args: readonly string[], timeoutMs = 200): Promise<Finished> {
  const finished = await run({ args, rootfs: rootfs(), limits: { timeoutMs } })
  return finished.stdout.startsWith('ready\n') || timeoutMs > 10_000 ? finished : runOutOfTime(args, 5 * timeoutMs)
}

describe('the timeout', () => {
  it('ends the process by SIGTERM and is named', async () => {
    const { exit } = await run({ args: ['/bin/sleep', '600'], rootfs: rootfs(), limits: { timeoutMs: 200 } })
    expect(exit).toMatchObject({ exitCode: 143, signal: 'SIGTERM', cause: { limit: 'timeout', configured: 200 } })
    expect(exit.cause?.peak).toBeGreaterThanOrEqual(200)
    expect(exit.cause?.peak).toBeLessThanOrEqual(exit.usage.wallMs)
  })

  it('lets the process clean up', async () => {
    const { exit, stdout } = await runOutOfTime(['/bin/sh', '-c', 'trap "echo cleaned; exit 3" TERM; echo ready; sleep 600 & wait'])
    expect(exit).toMatchObject({ exitCode: 3, cause: { limit: 'timeout' } })
    expect(stdout).toBe('ready\ncleaned\n')
  })

  it('ends also a container that has not begun when it is over', () => {
    const spec = makeSpec({ args: ['/bin/sleep', '600'], rootfs: rootfs(), limits: { timeoutMs: 100 } })
    const slowly = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=prctl', '-e', 'inject=prctl:delay_enter=500000:when=1']
    const { status, stderr } = spawnSync('strace', [...slowly, process.execPath, join(import.meta.dirname, '../support/run-container-child.ts'), JSON.stringify(spec)], { encoding: 'utf8' })
    expect(status, stderr).toBe(143)
  })

  it('kills what ignores SIGTERM after a grace', async () => {
    const { exit } = await runOutOfTime(['/bin/probe', 'ignore-term'])
    expect(exit).toMatchObject({ exitCode: 137, signal: 'SIGKILL', cause: { limit: 'timeout' } })
    expect(exit.usage.wallMs).toBeGreaterThanOrEqual(800)
  })
})

describe('an abort', () => {
  it('ends the container and rethrows its reason', async () => {
    const controller = new AbortController()
    const reason = new Canceled('SIGINT')
    setTimeout(() => { controller.abort(reason) }, 100)
    // Longer than a test may take.
    await expect(run({ args: ['/bin/sleep', '600'], rootfs: rootfs() }, controller.signal)).rejects.toBe(reason)
  })

  it.each([0, 1, 2, 4, 8])('after %i ms leaves nothing', async (delayMs) => {
    const controller = new AbortController()
    const spec = makeSpec({ args: ['/bin/probe', 'allocate', '500'], rootfs: rootfs(), limits: { pids: 20 } })
    const reason = new Canceled('SIGINT')
    setTimeout(() => { controller.abort(reason) }, delayMs)
    await expect(runSpec(spec, controller.signal)).rejects.toBe(reason)
    expect(listGroups(spec.id)).toEqual([])
  })

  it('before the start starts nothing', async () => {
    const reason = new Canceled('SIGINT')
    await expect(run({ args: ['/no/such'], rootfs: { kind: 'directory', path: '/no/such' } }, AbortSignal.abort(reason))).rejects.toBe(reason)
  })
})

describe('the cgroups of a container', () => {
  it('are gone after it, also after a failed setup', async () => {
    const limits = { memoryBytes: 64 * mebibyte, pids: 10, cpus: 1 }
    const specs = [makeSpec({ args: ['/bin/true'], rootfs: rootfs(), limits }), makeSpec({ args: ['/bin/true'], rootfs: { kind: 'directory', path: '/no/such' }, limits })]
    await runSpec(specs[0]!)
    await expect(runSpec(specs[1]!)).rejects.toMatchObject({ code: 'RUNTIME_CONTAINER_SETUP_FAILED' })
    for (const spec of specs) expect(listGroups(spec.id)).toEqual([])
  })

  it('are kept while their owner lives, and removed as stale afterwards', () => {
    const { id } = makeSpec({ args: ['/bin/true'], rootfs: rootfs() })
    const cgroup = createContainerCgroup({ id, limits: { pids: 10 }, hierarchies: findHierarchies() })
    const folders = cgroup.groups.map((group) => group.folder)
    expect(folders.length).toBe(isUnified ? 1 : 2)
    expect(removeStaleCgroups().filter((folder) => folders.includes(folder))).toEqual([])
    expect(folders.every((folder) => existsSync(folder))).toBe(true)
    cgroup.remove()
    expect(folders.some((folder) => existsSync(folder))).toBe(false)
  })

  it('cannot be shared by two containers', () => {
    const { id } = makeSpec({ args: ['/bin/true'], rootfs: rootfs() })
    const cgroup = createContainerCgroup({ id, limits: { pids: 10 }, hierarchies: findHierarchies() })
    expect(() => createContainerCgroup({ id, limits: { pids: 10 }, hierarchies: findHierarchies() })).toThrow(expect.objectContaining({ code: 'RUNTIME_LIMIT_NOT_APPLICABLE' }))
    cgroup.remove()
  })

  it('are asked for in vain without the controller, which the error names', () => {
    const withoutPids = findHierarchies().map((hierarchy) => ({ ...hierarchy, controllers: hierarchy.controllers.filter((controller) => controller !== 'pids') }))
    expect(() => createContainerCgroup({ id: 'test-missing', limits: { memoryBytes: mebibyte, pids: 10 }, hierarchies: withoutPids })).toThrow(expect.objectContaining({ code: 'RUNTIME_LIMIT_NOT_APPLICABLE', controller: 'pids' }))
    expect(listGroups('test-missing')).toEqual([])
  })
})

function listGroups(id: string): string[] {
  return findHierarchies().flatMap((hierarchy) => readdirSync(hierarchy.ownGroup).filter((name) => name.includes(id)).map((name) => join(hierarchy.ownGroup, name)))
}

function findDisk(): string {
  const [, name = ''] = /^\s*(?:8|25[0-9])\s+0\s+\d+\s+((?:vd|sd|xvd|nvme)\S*)$/mu.exec(readFileSync('/proc/partitions', 'utf8')) ?? []
  return name === '' ? '' : `/dev/${name}`
}
