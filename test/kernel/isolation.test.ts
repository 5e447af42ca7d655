import { readFileSync, readlinkSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { cgroupFile } from '../support/cgroup-files.ts'
import { runScript, run } from '../support/container.ts'
import { Workspace } from '../support/workspace.ts'

const workspace = new Workspace()
const lower = workspace.makeBusyboxLayer()
const rootfs = () => ({ kind: 'overlay', lowers: [{ kind: 'directory', path: lower }], upper: workspace.makeUpper(), xattrs: 'trusted' }) as const

afterAll(() => { workspace[Symbol.dispose]() })

describe('a process in a container', () => {
  it('sees its init, itself and nobody else', async () => {
    const [own = '', ...pids] = await runScript('echo $$; cd /proc; ls -d [0-9]*', { rootfs: rootfs() })
    expect(own).toBe('2')
    expect(pids.filter((pid) => Number(pid) <= 2)).toEqual(['1', '2'])
    expect(pids.length).toBeLessThanOrEqual(3)
  })

  it('learns nothing from its init', async () => {
    const [command, ...rest] = await runScript('tr "\\0" " " < /proc/1/cmdline; echo; cat /proc/1/environ /proc/1/maps 2> /dev/null | wc -c; for link in exe cwd root fd/0 fd/4; do readlink /proc/1/$link; done; true', { rootfs: rootfs() })
    expect(command?.trim().split(/\s+/u)).toEqual(['tsbuild-helper', 'run'])
    expect(rest).toEqual(['0'])
  })

  it('has no mount but the ones made for it', async () => {
    const lines = await runScript('cat /proc/self/mountinfo', { rootfs: rootfs() })
    const mounts = lines.map((line) => {
      const [front = '', back = ''] = line.split(' - ')
      const [, , , root, target, options] = front.split(' ')
      return `${target ?? ''} ${back.split(' ')[0] ?? ''} ${root ?? ''} ${options ?? ''}`
    }).sort()
    expect(mounts.filter((mount) => !/^\/(?:proc|sys)\/\S/u.test(mount))).toEqual([
      '/ overlay / rw,relatime',
      '/dev tmpfs / rw,nosuid',
      '/dev/mqueue mqueue / rw,nosuid,nodev,noexec,relatime',
      '/dev/pts devpts / rw,nosuid,noexec,relatime',
      '/dev/shm tmpfs / rw,nosuid,nodev,noexec,relatime',
      '/proc proc / rw,nosuid,nodev,noexec,relatime',
      '/sys sysfs / ro,nosuid,nodev,noexec,relatime',
    ])
    expect(mounts.filter((mount) => /^\/(?:proc|sys)\/\S/u.test(mount)).every((mount) => / ro,/u.test(mount))).toBe(true)
    expect(lines.join('\n')).not.toContain(workspace.folder)
    expect(lines.some((line) => /shared:|master:/u.test(line))).toBe(false)
  })

  it('finds the masked paths empty and the controlling ones read-only', async () => {
    const lines = await runScript(`
      for file in /proc/interrupts /proc/keys /proc/timer_list; do [ -e $file ] && wc -c < $file; done
      for folder in /proc/acpi /sys/firmware; do [ -e $folder ] && ls -A $folder | wc -l; done
      for file in /proc/sys/kernel/core_pattern /proc/irq/default_smp_affinity /sys/kernel/uevent_seqnum /sys/power/state; do
        [ -e $file ] && (echo x > $file) 2>/dev/null && echo WRITTEN $file
      done
      mkdir /sys/fs/cgroup/x 2>/dev/null && echo MADE
      true`, { rootfs: rootfs() })
    expect(lines.length).toBeGreaterThan(1)
    expect(new Set(lines)).toEqual(new Set(['0']))
  })

  it('sees only its own cgroup', async () => {
    const folder = cgroupFile('memory', '.')
    const lines = await runScript(`cut -d: -f3 /proc/self/cgroup | sort -u; sort -n ${folder}/cgroup.procs | head -1; ls -d ${folder}/*/ 2>/dev/null; true`, { rootfs: rootfs() })
    expect(lines).toEqual(['/', '2'])
  })

  it('has Docker\'s devices and links, and no other', async () => {
    const lines = await runScript('cd /dev; for name in *; do if [ -L $name ]; then echo $name "->" $(readlink $name); else stat -c "%n %A %t:%T" $name; fi; done', { rootfs: rootfs() })
    expect(lines).toEqual([
      'core -> /proc/kcore', 'fd -> /proc/self/fd', 'full crw-rw-rw- 1:7', 'mqueue drwxrwxrwt 0:0', 'null crw-rw-rw- 1:3', 'ptmx -> pts/ptmx',
      'pts drwxr-xr-x 0:0', 'random crw-rw-rw- 1:8', 'shm drwxrwxrwt 0:0', 'stderr -> /proc/self/fd/2', 'stdin -> /proc/self/fd/0',
      'stdout -> /proc/self/fd/1', 'tty crw-rw-rw- 5:0', 'urandom crw-rw-rw- 1:9', 'zero crw-rw-rw- 1:5',
    ])
  })

  it('has a /dev/shm of the size asked for', async () => {
    const size = async (isolation: { readonly shmSizeBytes?: number }) => runScript('df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2', { rootfs: rootfs(), isolation })
    expect(await size({})).toEqual(['65536'])
    expect(await size({ shmSizeBytes: 1024 * 1024 })).toEqual(['1024'])
  })

  it('has its own host and domain name, and leaves the host\'s alone', async () => {
    const before = readFileSync('/proc/sys/kernel/hostname', 'utf8')
    expect(await runScript('hostname; cat /proc/sys/kernel/domainname; hostname other 2>&1 || true', { rootfs: rootfs(), isolation: { hostname: 'inside', domainname: 'example.org' } }))
      .toEqual(['inside', 'example.org', expect.stringContaining('not permitted')])
    expect(readFileSync('/proc/sys/kernel/hostname', 'utf8')).toBe(before)
  })

  it('has System V objects and message queues of its own', async () => {
    const inside = await runScript('readlink /proc/self/ns/ipc; cat /proc/sysvipc/shm | wc -l; ls -A /dev/mqueue | wc -l', { rootfs: rootfs() })
    expect(inside.slice(1)).toEqual(['1', '0'])
    expect(inside[0]).not.toBe(readLink('ipc'))
  })

  it('with network none has nothing but a loopback that is up', async () => {
    const lines = await runScript('ls /sys/class/net; ip -o addr show lo | tr -s " " | cut -d" " -f3,4; ping -c1 -W1 127.0.0.1 > /dev/null && echo reached; cat /proc/sys/net/ipv4/ip_unprivileged_port_start', { rootfs: rootfs(), isolation: { network: { mode: 'none' } } })
    expect(lines.filter((line) => !line.startsWith('inet6'))).toEqual(['lo', 'inet 127.0.0.1/8', 'reached', '0'])
  })

  it('with network host shares the host\'s', async () => {
    const [net, uts] = await runScript('readlink /proc/self/ns/net; readlink /proc/self/ns/uts', { rootfs: rootfs() })
    expect(net).toBe(readLink('net'))
    expect(uts).not.toBe(readLink('uts'))
  })

  it('has no descriptor but its three', async () => {
    const { stdout } = await run({ args: ['/bin/probe', 'descriptors'], rootfs: rootfs() })
    expect(stdout.trim().split('\n')).toEqual(['0', '1', '2'])
  })

  it('has an empty stdin that belongs to the container', async () => {
    expect(await runScript('readlink /proc/self/fd/0; wc -c; stat -Lc %t:%T /proc/self/fd/0; stat -Lc %d:%i /proc/self/fd/0 /dev/null | uniq | wc -l', { rootfs: rootfs() })).toEqual(['/dev/null', '0', '1:3', '1'])
  })

  it('has the environment given and nothing else', async () => {
    const { stdout } = await run({ args: ['/bin/env'], rootfs: rootfs(), process: { env: ['B=2', 'A=one=1', 'EMPTY='] } })
    expect(stdout.split('\n').slice(0, -1)).toEqual(['B=2', 'A=one=1', 'EMPTY='])
  })

  it('ignores no signal that its caller ignored', async () => {
    // A shell would ignore some itself.
    const { stdout } = await run({ args: ['/bin/grep', '-E', '^Sig(Ign|Blk):', '/proc/self/status'], rootfs: rootfs() })
    expect(stdout.split('\n').map((line) => line.split('\t')[1])).toEqual(['0000000000000000', '0000000000000000', undefined])
  })

  it('leads a session without a terminal, with default signals', async () => {
    const { stdout } = await run({ args: ['/bin/probe', 'signals'], rootfs: rootfs() })
    expect(stdout).toBe('')
    expect(await runScript('cut -d" " -f5,6,7 /proc/self/stat; cut -d" " -f6 /proc/$$/stat; (exec < /dev/tty) 2>/dev/null || echo no tty', { rootfs: rootfs() })).toEqual(['2 2 0', '2', 'no tty'])
  })
})

function readLink(namespace: string): string {
  return readlinkSync(`/proc/self/ns/${namespace}`)
}
