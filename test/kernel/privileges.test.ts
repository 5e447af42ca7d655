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
    for (let turn = 0; turn < 2; turn++) keyrings.push((await run({ args: ['/bin/probe', 'keyring'], rootfs: rootfs() })).stdout)
    expect(new Set(keyrings).size).toBe(3)
  })
})

describe('a seccomp program', () => {
  /** Allows everything but mkdir(2) and mkdirat(2), which fail with EPERM. */
  const program = encodeFilter([
    [0x20, 0, 0, 0],
    [0x15, 1, 0, process.arch === 'arm64' ? 34 : 83],
    [0x15, 0, 1, process.arch === 'arm64' ? 34 : 258],
    [0x06, 0, 0, 0x0005_0001],
    [0x06, 0, 0, 0x7fff_0000],
  ])

  it.each([false, true])('holds for the process, with no_new_privs %s', async (noNewPrivileges) => {
    const lines = await runScript('sed -n "s/^Seccomp:.//p" /proc/self/status; mkdir /made 2>&1; true', { rootfs: rootfs(), privilege: { seccompProgram: program, noNewPrivileges } })
    expect(lines).toEqual(['2', expect.stringContaining('not permitted')])
  })

  it('holds for a user, without no_new_privs too', async () => {
    expect(await runScript('sed -n "s/^Seccomp:.//p" /proc/self/status', { rootfs: rootfs(), privilege: { seccompProgram: program }, process: { user } })).toEqual(['2'])
  })

  it('that is none is refused by the kernel', async () => {
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), privilege: { seccompProgram: encodeFilter([[0xffff, 0, 0, 0]]) } })).rejects.toMatchObject({ code: 'RUNTIME_CONTAINER_SETUP_FAILED', stage: 'seccomp filter', errnoName: 'EINVAL' })
    await expect(run({ args: ['/bin/true'], rootfs: rootfs(), privilege: { seccompProgram: new Uint8Array(7) } })).rejects.toMatchObject({ code: 'RUNTIME_INVALID_SPEC', field: 'privilege.seccompProgram' })
  })

  it('is not there unless given', async () => {
    expect(await runScript('sed -n "s/^Seccomp:.//p" /proc/self/status', { rootfs: rootfs() })).toEqual(['0'])
  })
})

/** struct sock_filter: code, jump if true, jump if false, operand. */
function encodeFilter(instructions: readonly (readonly [number, number, number, number])[]): Uint8Array {
  const bytes = Buffer.alloc(instructions.length * 8)
  instructions.forEach(([code, whenTrue, whenFalse, operand], index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(whenTrue, index * 8 + 2)
    bytes.writeUInt8(whenFalse, index * 8 + 3)
    bytes.writeUInt32LE(operand, index * 8 + 4)
  })
  return bytes
}
