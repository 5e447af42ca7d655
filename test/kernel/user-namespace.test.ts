import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { ContainerSpec, Mount } from '../../runtime/index.ts'
import { leaseBridgePort } from '../../runtime/index.ts'
import { run, runScript } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const rootfs = (upper = workspace.makeUpper()) => ({ kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper, xattrs: 'trusted' }) as const
const ranges = [{ inside: 0, outside: 700_000, count: 65_536 }]
const idMaps = { uids: ranges, gids: ranges }
const isolation = { network: { mode: 'none' }, idMaps } as const
afterAll(() => { workspace[Symbol.dispose]() })

describe('a container with a user namespace of its own', () => {
  it('is root inside, and one of the lent ids outside', async () => {
    const folder = workspace.makeFolder()
    chmodSync(folder, 0o777)
    const mounts: Mount[] = [{ kind: 'bind', source: folder, target: '/host', readonly: false }]
    expect(await runScript('cat /proc/self/uid_map /proc/self/gid_map | tr -s " "; id -u; touch /host/made; stat -c %u:%g /host', { rootfs: rootfs(), isolation, mounts })).toEqual([' 0 700000 65536', ' 0 700000 65536', '0', '65534:65534'])
    expect(statSync(join(folder, 'made'))).toMatchObject({ uid: 700_000, gid: 700_000 })
  })

  it('leaves in its layer exactly what one without leaves', async () => {
    const script = `mkdir -p /d/e /bin/x; cp /bin/busybox /d/su; chown 3:4 /d/su; chmod 6755 /d/su; mkfifo /d/f; ln /d/su /d/e/l; ln -s l /d/e/s; rm /bin/cat; chown 65535:65535 /d
      find /d /bin/x | sort | xargs touch -h -d @1000; touch -d @1000 / /bin`
    const described = await Promise.all([idMaps, undefined].map(async (maps) => {
      const upper = workspace.makeUpper()
      await runScript(script, { rootfs: rootfs(upper), isolation: { network: { mode: 'none' }, ...(maps === undefined ? {} : { idMaps: maps }) } })
      // A whiteout has the time of the deletion.
      return workspace.describe(upper.upperdir).map((line) => line.replace(/^(\S+ 2\d{4} .*) \S+$/u, '$1'))
    }))
    expect(described[0]).toEqual(described[1])
    expect(described[0]?.some((line) => line.includes('65535:65535'))).toBe(true)
  })

  it('sees and changes a tree without layers by the same ids', async () => {
    const path = workspace.makeBusyboxLayer()
    mkdirSync(join(path, 'dev'))
    expect(await runScript('stat -c %u /bin; touch /made; chown 9:9 /made; ls -d /proc/self', { rootfs: { kind: 'directory', path }, isolation })).toEqual(['0', '/proc/self'])
    expect(statSync(join(path, 'made'))).toMatchObject({ uid: 9, gid: 9 })
  })

  it('owns its mount points, generated files and what the build keeps for it', async () => {
    const folder = workspace.makeFolder()
    chownSync(folder, 7, 8)
    const mounts: Mount[] = [
      { kind: 'bind', source: folder, target: '/new/cache', readonly: false, hasContainerIds: true },
      { kind: 'file', target: '/new/secret', content: Buffer.from('x'), mode: 0o400, uid: 33, gid: 34 },
      { kind: 'layers', rootfs: rootfs(), path: 'bin', target: '/tools', readonly: false },
    ]
    expect(await runScript('stat -c %u:%g /new /new/cache /new/secret /tools; touch /new/cache/x /tools/x && echo written', { rootfs: rootfs(), isolation, mounts })).toEqual(['0:0', '7:8', '33:34', '0:0', 'written'])
    expect(statSync(join(folder, 'x'))).toMatchObject({ uid: 0, gid: 0 })
  })

  it('has every privilege in its own namespaces, if given, and none over the host', async () => {
    const folder = workspace.makeFolder()
    writeFileSync(join(folder, 'root-only'), 'x', { mode: 0o600 })
    const mounts: Mount[] = [{ kind: 'bind', source: folder, target: '/host', readonly: false }]
    const script = `hostname other && hostname; mkdir /m && mount -t tmpfs none /m && echo mounted; ip link set lo mtu 1300 && echo network
      cat /host/root-only 2> /dev/null && echo READ; mknod /disk b 7 0 2> /dev/null && echo MADE; umount /proc/sys; (echo x > /proc/sys/kernel/core_pattern) 2> /dev/null && echo WRITTEN
      (exec 3< /proc/1/mem) 2> /dev/null && echo INIT; true`
    expect(await runScript(script, { rootfs: rootfs(), isolation, mounts, privilege: { capAdd: ['ALL'], seccomp: { kind: 'unconfined' } } })).toEqual(['other', 'mounted', 'network'])
  })

  it('cannot open a device that the image has, though its root owns it', async () => {
    const layer = workspace.makeFolder()
    execFileSync('mknod', ['-m', '666', join(layer, 'disk'), 'b', '7', '0'])
    const lowers = [{ kind: 'directory', path: layer }, { kind: 'directory', path: busybox }] as const
    expect(await runScript('stat -c "%u %t:%T" /disk; (exec 3< /disk) 2> /dev/null && echo OPENED; true', { rootfs: { ...rootfs(), lowers }, isolation })).toEqual(['0 7:0'])
  })

  it('is on the bridge as any other', async () => {
    using lease = await leaseBridgePort({ isIsolated: true })
    const { port } = lease
    expect(await runScript(`ip -o -4 addr show eth0 | tr -s " " | cut -d" " -f4; ping -c1 -W2 ${port.gateway} > /dev/null && echo reached`, { rootfs: rootfs(), isolation: { idMaps, network: { mode: 'bridge', port } } })).toEqual([`${port.address}/${port.prefix}`, 'reached'])
    await expect.poll(() => readdirSync('/sys/class/net')).not.toContain(port.name)
  })

  it('is limited as any other, and is told what it died of', async () => {
    const { exit } = await run({ args: ['/bin/probe', 'allocate', '64'], rootfs: rootfs(), isolation, limits: { memoryBytes: 16 << 20 } })
    expect(exit).toMatchObject({ exitCode: 137, cause: { limit: 'memory' } })
    expect(await runScript('ulimit -n; cat /proc/self/oom_score_adj; id -G', { rootfs: rootfs(), isolation, process: { ulimits: [{ name: 'nofile', soft: 100, hard: 200 }], oomScoreAdj: 500, user: { uid: 5, gid: 6, groups: [7] } } })).toEqual(['100', '500', '6 7'])
  })

  const contradictions: [string, Partial<ContainerSpec>][] = [
    ['isolation.network', { isolation: { hostname: 'box', network: { mode: 'host' }, idMaps } }],
    ['isolation.namespaces.pid', { isolation: { hostname: 'box', network: { mode: 'none' }, idMaps, namespaces: { pid: { kind: 'host' } } } }],
    ['isolation.namespaces.ipc', { isolation: { hostname: 'box', network: { mode: 'none' }, idMaps, namespaces: { ipc: { kind: 'host' } } } }],
    ['privilege.isPrivileged', { isolation: { hostname: 'box', ...isolation }, privilege: { isPrivileged: true } }],
    ['executor', { isolation: { hostname: 'box', ...isolation }, executor: { kind: 'chroot' } }],
    ['process.user.uid', { isolation: { hostname: 'box', ...isolation }, process: { args: ['/bin/true'], env: [], cwd: '/', user: { uid: 65_536, gid: 0, groups: [] } } }],
  ]
  it.each(contradictions)('contradicts %s of the host\'s', async (field, parts) => {
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), ...parts })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field })
  })

  it('is refused, with the remedy, where layers cannot be shown under other ids', async () => {
    // sysfs is no filesystem for that.
    const lowers = [{ kind: 'directory', path: '/sys/kernel' }] as const
    await expect(run({ args: ['/bin/true'], rootfs: { ...rootfs(), lowers }, isolation })).rejects.toMatchObject({ code: 'RUNTIME_USER_NAMESPACE_UNAVAILABLE', remedy: expect.stringContaining('--userns') as unknown })
  })
})
