import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import type { ContainerExit } from '../../runtime/index.ts'
import { leaseBridgePort } from '../../runtime/index.ts'
import { run, runScript } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const busybox = workspace.makeBusyboxLayer()
const rootfs = () => ({ kind: 'overlay', lowers: [{ kind: 'directory', path: busybox }], upper: workspace.makeUpper(), xattrs: 'trusted' }) as const
afterAll(() => { workspace[Symbol.dispose]() })

/** Tries each command line and gives those that succeeded. */
async function succeeding(attempts: readonly string[], parts: Partial<Parameters<typeof runScript>[1]> = {}): Promise<string[]> {
  return runScript(`${attempts.map((attempt) => `(${attempt}) > /dev/null 2>&1 && echo '${attempt.replaceAll('\'', '')}'`).join('\n')}\ntrue`, { rootfs: rootfs(), ...parts })
}

describe('root in a container', () => {
  it('cannot have the host run a program through a release agent (CVE-2022-0492)', async () => {
    const mounts = ['mkdir /c; mount -t cgroup -o memory cgroup /c', 'mkdir /d; mount -t cgroup2 none /d', 'unshare -Ur true', 'unshare -m true', 'unshare -C true']
    expect(await succeeding(mounts)).toEqual([])
    expect(await succeeding(['echo /bin/true > /sys/fs/cgroup/memory/release_agent', 'mkdir /sys/fs/cgroup/memory/x', 'echo 1 > /sys/fs/cgroup/memory/notify_on_release'])).toEqual([])
  })

  it('cannot change the kernel through its files', async () => {
    const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8')
    expect(await succeeding([
      'echo x > /proc/sys/kernel/core_pattern', 'echo x > /proc/sys/kernel/modprobe', 'echo h > /proc/sysrq-trigger', 'echo 0 > /proc/irq/default_smp_affinity',
      'echo 1 > /sys/kernel/uevent_helper', 'echo mem > /sys/power/state', 'umount /proc/sys', 'mount -o remount,rw /proc/sys', 'mount -o remount,rw /sys', 'dmesg -c',
    ])).toEqual([])
    expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before)
  })

  it('can neither trace init nor look into it', async () => {
    expect(await succeeding(['readlink /proc/1/root/etc', 'readlink /proc/1/fd/4', 'cat /proc/1/fd/4', 'cat /proc/1/environ | grep .', 'cat /proc/1/mem', 'ls /proc/1/cwd/', 'kill -9 1; sleep 0.1; [ ! -e /proc/1 ]'])).toEqual([])
  })

  it('gets nothing out of init by tracing it, when it may trace', async () => {
    const privilege = { capAdd: ['SYS_PTRACE'] }
    expect(await runScript('sed -n "s/^CapEff:.//p;s/^CapPrm:.//p;s/^NoNewPrivs:.//p;s/^Seccomp:.//p" /proc/1/status', { rootfs: rootfs(), privilege })).toEqual(['0000000000000020', '0000000000000020', '1', '2'])
    expect(await runScript('exec /bin/probe trace 1', { rootfs: rootfs(), privilege })).toEqual(['getpid 1', ...['unshare(NEWNS)', 'unshare(NEWUSER)', 'sethostname', 'setns', 'socket', 'execve', 'ptrace', 'setuid'].map((call) => `${call} -1`)])
    expect(await runScript('exec /bin/probe trace 1', { rootfs: rootfs() })).toEqual(['Operation not permitted'])
  })

  it('sees the memory, log and keys of the host no better for being root', async () => {
    expect(await succeeding(['head -c1 /proc/kcore | grep .', 'head -c1 /dev/mem', 'mknod /m c 1 1; head -c1 /m', 'mknod /k c 1 11; head -c1 /k', 'grep . /proc/keys', 'grep . /proc/timer_list', 'ls /sys/firmware/*', 'iopl'])).toEqual([])
  })

  it('gains nothing from namespaces of the host that are shared with it', async () => {
    expect(await succeeding(['ip link set lo down', 'ip addr add 10.9.9.9/24 dev lo', 'iptables -L', 'hostname other'], { isolation: { namespaces: { uts: { kind: 'host' } } } })).toEqual([])
  })

  it('cannot pose as its neighbours\' router, having no raw sockets without being given them', async () => {
    using lease = await leaseBridgePort({ isIsolated: true })
    const isolation = { network: { mode: 'bridge', port: lease.port } } as const
    expect(await succeeding(['ip route add 10.9.0.0/16 dev eth0', 'ip link set eth0 down', 'ip addr add 10.9.9.9/24 dev eth0', 'arping -c1 -w1 -I eth0 10.1.1.1'], { isolation, privilege: { capDrop: ['NET_RAW'] } })).toEqual([])
  })

  it('finds no socket of ours, also with the host\'s network', async () => {
    expect((await runScript('cat /proc/net/unix', { rootfs: rootfs() })).filter((line) => /tsbuild/u.test(line))).toEqual([])
  })
})

describe('a container that stops itself', () => {
  it('still ends at its timeout', async () => {
    // One that SIGTERM ended had not come to stop itself when its time was over.
    const stop = async (timeoutMs: number): Promise<ContainerExit> => {
      const { exit } = await run({ args: ['/bin/sh', '-c', 'kill -STOP $$'], rootfs: rootfs(), limits: { timeoutMs } })
      return exit.signal === 'SIGTERM' && timeoutMs < 10_000 ? stop(5 * timeoutMs) : exit
    }
    const exit = await stop(200)
    expect(exit).toMatchObject({ signal: 'SIGKILL', cause: { limit: 'timeout' } })
  })

  it('still ends when everything in it is stopped', async () => {
    const { exit } = await run({ args: ['/bin/sh', '-c', '(sleep 100 & kill -STOP $!); for i in 1 2 3; do (kill -STOP $$; sleep 100) & done; kill -STOP -1; sleep 100'], rootfs: rootfs(), limits: { timeoutMs: 200 } })
    expect(exit.cause?.limit).toBe('timeout')
  })
})
