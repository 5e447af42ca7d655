import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { probeHost } from '../../runtime/index.ts'
import { run, runScript } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const programs = workspace.makeFolder()
const rootfs = () => ({ kind: 'overlay', lowers: [programs, busybox].map((path) => ({ kind: 'directory', path }) as const), upper: workspace.makeUpper(), xattrs: 'trusted' }) as const
const user = { uid: 1000, gid: 1000, groups: [] }
afterAll(() => { workspace[Symbol.dispose]() })

mkdirSync(join(programs, 'opt'))
copyFileSync(join(busybox, 'bin/probe'), join(programs, 'opt/set-uid'))
chmodSync(join(programs, 'opt/set-uid'), 0o4755)

const dockerDefault = '00000000a80425fb'
const none = '0000000000000000'

/** CapInh, CapPrm, CapEff, CapBnd, CapAmb. */
async function capabilities(parts: Omit<Parameters<typeof runScript>[1], 'rootfs'>): Promise<string[]> {
  return runScript('sed -n "s/^Cap...:.//p" /proc/self/status', { rootfs: rootfs(), ...parts })
}

describe('capabilities', () => {
  it('of root are Docker\'s default in three sets and none in the inheritable ones', async () => {
    expect(await capabilities({})).toEqual([none, dockerDefault, dockerDefault, dockerDefault, none])
  })

  it('of a user are only a bound', async () => {
    expect(await capabilities({ process: { user } })).toEqual([none, none, none, dockerDefault, none])
  })

  it('can be added and dropped by name', async () => {
    const sets = await capabilities({ privilege: { capAdd: ['NET_ADMIN'], capDrop: ['CAP_MKNOD', 'net_raw'] } })
    expect(sets[1]).toBe((BigInt(`0x${dockerDefault}`) & ~(1n << 27n) & ~(1n << 13n) | 1n << 12n).toString(16).padStart(16, '0'))
  })

  it('can all be dropped, but for some', async () => {
    expect(await capabilities({ privilege: { capDrop: ['ALL'] } })).toEqual([none, none, none, none, none])
    expect((await capabilities({ privilege: { capDrop: ['ALL'], capAdd: ['CHOWN'] } }))[3]).toBe('0000000000000001')
  })

  it('can all be added, as far as tsbuild has them', async () => {
    expect((await capabilities({ privilege: { capAdd: ['ALL'] } }))[1]).toBe(probeHost().capabilities.toString(16).padStart(16, '0'))
  })

  it('are what a set-user-id program gets within the bound', async () => {
    expect(await runScript('/opt/set-uid show /proc/self/status | sed -n "s/^Uid:.//p;s/^CapEff:.//p"', { rootfs: rootfs(), process: { user } })).toEqual(['1000\t0\t0\t0', dockerDefault])
    expect(await runScript('/opt/set-uid show /proc/self/status | sed -n "s/^CapEff:.//p"', { rootfs: rootfs(), process: { user }, privilege: { capDrop: ['ALL'] } })).toEqual([none])
  })

  it('do not let root mount, load modules, or reach the host\'s disks', async () => {
    expect(await runScript('for try in "mount -t tmpfs x /opt" "umount /proc" "mknod /dev/shm/sda b 8 0" "head -c1 /dev/shm/sda" "hostname x" "chroot / mount -t proc x /opt" "insmod /bin/probe"; do $try > /dev/null 2>&1 && echo "$try worked"; done; true', { rootfs: rootfs() })).toEqual(['mknod /dev/shm/sda b 8 0 worked'])
  })

  it('of an unknown name are refused', async () => {
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), privilege: { capAdd: ['FLY'] } })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field: 'privilege.capAdd[0]' })
  })
})

describe('no_new_privs', () => {
  it('is off, as in a Docker build, unless asked for', async () => {
    const read = 'sed -n "s/^NoNewPrivs:.//p" /proc/self/status; /opt/set-uid show /proc/self/status | sed -n "s/^Uid:.//p" | cut -f2'
    expect(await runScript(read, { rootfs: rootfs(), process: { user } })).toEqual(['0', '0'])
    expect(await runScript(read, { rootfs: rootfs(), process: { user }, privilege: { noNewPrivileges: true } })).toEqual(['1', '1000'])
  })
})

describe('the user', () => {
  it('has its ids, its groups and no other', async () => {
    const process = { user: { uid: 1234, gid: 2345, groups: [7, 4_000_000_000] } }
    expect(await runScript('sed -n "s/^Uid:.//p;s/^Gid:.//p;s/^Groups:.//p" /proc/self/status', { rootfs: rootfs(), process })).toEqual(['1234\t1234\t1234\t1234', '2345\t2345\t2345\t2345', '7 4000000000 '])
    expect(await runScript('sed -n "s/^Groups:.//p" /proc/self/status', { rootfs: rootfs() })).toEqual([' '])
  })

  it('is denied what its group is denied', async () => {
    writeFileSync(join(programs, 'opt/negative'), 'secret')
    chmodSync(join(programs, 'opt/negative'), 0o604)
    const { exit } = await run({ args: ['/bin/cat', '/opt/negative'], rootfs: rootfs(), process: { user: { uid: 1000, gid: 0, groups: [] } } })
    expect(exit.exitCode).toBe(1)
  })

  it('cannot be a number that the kernel takes for something else', async () => {
    for (const uid of [-1, 2 ** 32 - 1, 2 ** 32, 1.5, Number.NaN]) {
      await expect(run({ args: ['/bin/true'], rootfs: rootfs(), process: { user: { ...user, uid } } })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field: 'process.user.uid' })
    }
  })
})

describe('the process', () => {
  it('starts with umask 022 or the one given', async () => {
    expect(await runScript('umask', { rootfs: rootfs() })).toEqual(['0022'])
    expect(await runScript('umask', { rootfs: rootfs(), process: { umask: 0o077 } })).toEqual(['0077'])
  })

  it('has limits that do not depend on ours', async () => {
    const { stdout } = await run({ args: ['/bin/probe', 'limits'], rootfs: rootfs() })
    const limits = new Map(stdout.trim().split('\n').map((line) => line.split(' ').map(Number)).map(([resource = -1, soft, hard]) => [resource, [soft, hard]]))
    expect(limits.get(7)?.[0]).toBe(1024)
    expect(limits.get(4)).toEqual([0, -1])
    expect(limits.get(3)).toEqual([8 << 20, -1])
    const hardOfOurs = Number(/^Max open files\s+\d+\s+(\d+)/mu.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
    expect(limits.get(7)?.[1]).toBe(Math.min(524_288, hardOfOurs))
  })

  it('is as likely a victim of the OOM killer as any', async () => {
    expect(await runScript('cat /proc/self/oom_score_adj', { rootfs: rootfs() })).toEqual(['0'])
  })

  it('has a session keyring of its own', async () => {
    const keyrings = [spawnSync(join(busybox, 'bin/probe'), ['keyring'], { encoding: 'utf8' }).stdout]
    for (let turn = 0; turn < 2; turn++) keyrings.push((await run({ args: ['/bin/probe', 'keyring'], rootfs: rootfs(), privilege: { seccomp: { kind: 'unconfined' } } })).stdout)
    expect(new Set(keyrings).size).toBe(3)
  })
})

describe('resource limits by name', () => {
  it('take the place of the defaults', async () => {
    const { stdout } = await run({ args: ['/bin/probe', 'limits'], rootfs: rootfs(), process: { ulimits: [{ name: 'nofile', soft: 100, hard: 200 }, { name: 'core', soft: 0, hard: 0 }] } })
    expect(stdout.trim().split('\n')).toEqual(expect.arrayContaining(['7 100 200', '4 0 0']))
  })

  it.each([{ name: 'files', soft: 1, hard: 1 }, { name: 'nofile', soft: 2, hard: 1 }, { name: 'nofile', soft: -2, hard: 1 }])('that cannot be are refused: %j', async (ulimit) => {
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), process: { ulimits: [ulimit] } })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC' })
  })
})

describe('the OOM score', () => {
  it('is the one asked for', async () => {
    expect(await runScript('cat /proc/self/oom_score_adj', { rootfs: rootfs(), process: { oomScoreAdj: 500 } })).toEqual(['500'])
  })
})

describe('kernel settings', () => {
  it('of a namespace of its own are set', async () => {
    const isolation = { network: { mode: 'none' }, sysctls: { 'net.ipv4.ip_default_ttl': '77', 'kernel.msgmax': '1234', 'net.ipv4.ip_unprivileged_port_start': '512' } } as const
    expect(await runScript('cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start', { rootfs: rootfs(), isolation })).toEqual(['77', '1234', '512'])
  })

  it.each([['kernel.core_pattern', '|/bin/sh'], ['net.ipv4.ip_forward', '1'], ['kernel.msgmax', '1\n2'], ['kernel.shm+core_pattern', '1'], ['../../etc/passwd', 'x'], ['kernel.msgmax=1', '1']])('of the host are refused: %s', async (name, value) => {
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), isolation: { network: { mode: 'host' }, sysctls: { [name]: value } } })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC' })
  })
})

describe('devices', () => {
  it('of the host appear with its numbers and owner, folders with all of them', async () => {
    const devices = [{ source: '/dev/zero', target: '/dev/deep/er/nought', permissions: 'rw' }, { source: '/dev/net', target: '/dev/net', permissions: 'rwm' }]
    expect(await runScript('stat -c "%t:%T %U" /dev/deep/er/nought /dev/net/tun; head -c1 /dev/deep/er/nought | wc -c', { rootfs: rootfs(), devices })).toEqual(['1:5 UNKNOWN', 'a:c8 UNKNOWN', '1'])
  })

  it.each([['/etc/passwd', '/dev/x'], ['/dev/no-such', '/dev/x'], ['/dev/zero', '/etc/x'], ['/dev/zero', '/dev/../x']])('that are none are refused: %s at %s', async (source, target) => {
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), devices: [{ source, target, permissions: 'rw' }] })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC' })
  })
})

describe('a privileged container', () => {
  it('has all that tsbuild has', async () => {
    expect(await capabilities({ privilege: { isPrivileged: true } })).toEqual([none, ...Array.from({ length: 3 }, () => probeHost().capabilities.toString(16).padStart(16, '0')), none])
    expect(await runScript('mount -t tmpfs x /opt && echo mounted; grep -c " /proc/sys " /proc/self/mountinfo; [ -c /dev/kmsg ] && echo kmsg; grep " /sys " /proc/self/mountinfo | cut -d" " -f6', { rootfs: rootfs(), privilege: { isPrivileged: true } }))
      .toEqual(['mounted', '0', 'kmsg', 'rw,nosuid,nodev,noexec,relatime'])
  })

  it('contradicts what takes something away', async () => {
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), privilege: { isPrivileged: true, capDrop: ['CHOWN'] } })).rejects.toMatchObject({ field: 'privilege.capDrop' })
  })
})

describe('unconfined system paths', () => {
  it('are neither hidden nor read-only', async () => {
    expect(await runScript('grep -c " /proc/" /proc/self/mountinfo; true', { rootfs: rootfs(), privilege: { systemPaths: 'unconfined' } })).toEqual(['0'])
  })
})

describe('labels of security modules', () => {
  it.each([[{ apparmorProfile: 'docker-default' }, 'apparmor'], [{ selinuxLabel: 'system_u:system_r:container_t:s0' }, 'selinux']])('are refused where the kernel lacks the module: %j', async (privilege, name) => {
    if (probeHost().securityModules.includes(name)) return
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), privilege })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC' })
  })
})

describe('a folder in memory', () => {
  it('has the size, mode and flags asked for', async () => {
    const mounts = [{ kind: 'tmpfs', target: '/mem', sizeBytes: 65536, mode: 0o700, isExecutable: false }, { kind: 'tmpfs', target: '/frozen', readonly: true }] as const
    expect(await runScript('stat -c %a /mem; df -k /mem | tail -1 | tr -s " " | cut -d" " -f2; cp /bin/busybox /mem/ 2>/dev/null || echo full; touch /frozen/x 2>/dev/null || echo read-only; grep " /mem " /proc/self/mountinfo | cut -d" " -f6', { rootfs: rootfs(), mounts }))
      .toEqual(['700', '64', 'full', 'read-only', 'rw,nosuid,nodev,noexec,relatime'])
  })
})
