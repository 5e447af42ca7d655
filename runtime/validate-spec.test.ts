import { describe, expect, it } from 'vitest'
import type { ContainerSpec, Mount } from './container-spec.ts'
import { validateSpec } from './validate-spec.ts'

const good: ContainerSpec = {
  id: 'a-1',
  rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: '/l' }], upper: { upperdir: '/u', workdir: '/w' }, xattrs: 'trusted' },
  process: { args: ['sh'], env: ['A=', 'B=c=d'], cwd: '/', user: { uid: 0, gid: 0, groups: [] } },
  isolation: { hostname: 'h', network: { mode: 'none' } },
  mounts: [],
  limits: {},
  privilege: {},
}
const served: ContainerSpec['rootfs'] = { kind: 'overlay', lowers: [], upper: undefined, xattrs: 'trusted', program: '/usr/bin/fuse-overlayfs' }
const tmpfs = (target: string): Mount => ({ kind: 'tmpfs', target })

describe('validateSpec', () => {
  it('takes a good one', () => {
    validateSpec({ ...good, mounts: [tmpfs('/run'), tmpfs('/dev/shm'), tmpfs('/process'), tmpfs('/a/../b')], limits: { memoryBytes: 6 * 1024 * 1024, memorySwapBytes: -1, cpus: 0.01, pids: 1, timeoutMs: 0.5 } })
  })

  it.each<readonly [string, Partial<ContainerSpec>]>([
    ['id', { id: '' }],
    ['id', { id: '../x' }],
    ['id', { id: 'x'.repeat(65) }],
    ['rootfs.lowers[0].path', { rootfs: { kind: 'overlay', lowers: [{ kind: 'directory', path: 'relative' }], upper: undefined, xattrs: 'trusted' } }],
    ['rootfs.start', { rootfs: { kind: 'directory', path: '/tree', start: '/start' }, executor: { kind: 'oci', runtime: 'crun' } }],
    ['rootfs.program', { rootfs: { ...served, program: 'fuse-overlayfs' } }],
    ['executor', { rootfs: served, executor: { kind: 'oci', runtime: 'crun' } }],
    ['isolation.idMaps', { rootfs: served, isolation: { ...good.isolation, idMaps: { uids: [{ inside: 0, outside: 1000, count: 1 }], gids: [{ inside: 0, outside: 1000, count: 1 }] } } }],
    ['rootfs.path', { rootfs: { kind: 'directory', path: '/with\0nul' } }],
    ['process.args', { process: { ...good.process, args: [] } }],
    ['process.args[0]', { process: { ...good.process, args: ['\0'] } }],
    ['process.env[0]', { process: { ...good.process, env: ['NAME'] } }],
    ['process.env[0]', { process: { ...good.process, env: ['=value'] } }],
    ['process.cwd', { process: { ...good.process, cwd: '' } }],
    ['process.umask', { process: { ...good.process, umask: 0o1000 } }],
    ['process.user.gid', { process: { ...good.process, user: { uid: 0, gid: 2 ** 32 - 1, groups: [] } } }],
    ['process.user.groups[1]', { process: { ...good.process, user: { uid: 0, gid: 0, groups: [1, -1] } } }],
    ['isolation.hostname', { isolation: { ...good.isolation, hostname: 'h'.repeat(65) } }],
    ['isolation.shmSizeBytes', { isolation: { ...good.isolation, shmSizeBytes: 0 } }],
    ['mounts[0].target', { mounts: [tmpfs('relative')] }],
    ['mounts[0].target', { mounts: [tmpfs('/')] }],
    ['mounts[0].target', { mounts: [tmpfs('/./dev/')] }],
    ['mounts[1].target', { mounts: [tmpfs('/a'), tmpfs('//proc')] }],
    ['mounts[0].target', { mounts: [tmpfs('/sys/fs/cgroup')] }],
    ['mounts[0].sizeBytes', { mounts: [{ kind: 'tmpfs', target: '/a', sizeBytes: -5 }] }],
    ['mounts[0].source', { mounts: [{ kind: 'bind', source: 'x', target: '/a', readonly: true }] }],
    ['mounts[0].mode', { mounts: [{ kind: 'file', target: '/a', content: new Uint8Array(), mode: 0o10000, uid: 0, gid: 0 }] }],
    ['limits.memoryBytes', { limits: { memoryBytes: 6 * 1024 * 1024 - 1 } }],
    ['limits.memorySwapBytes', { limits: { memorySwapBytes: 5 } }],
    ['limits.memorySwapBytes', { limits: { memoryBytes: 10_000_000, memorySwapBytes: 9_999_999 } }],
    ['limits.memorySwapBytes', { limits: { memoryBytes: 10_000_000, memorySwapBytes: Number.NaN } }],
    ['limits.cpus', { limits: { cpus: 0 } }],
    ['limits.cpus', { limits: { cpus: Number.POSITIVE_INFINITY } }],
    ['limits.pids', { limits: { pids: 1.5 } }],
    ['limits.timeoutMs', { limits: { timeoutMs: Number.NaN } }],
  ])('names %s when it cannot be', (field, change) => {
    expect(() => { validateSpec({ ...good, ...change }) }).toThrow(expect.objectContaining({ code: 'RUNTIME_INVALID_SPEC', field }))
  })
})
