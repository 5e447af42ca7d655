import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findHierarchies } from '../../runtime/cgroup/hierarchies.ts'
import { expectNothingLeft, importBusybox, useCommand } from '../support/command.ts'
import type { PlainUser } from '../support/plain-user.ts'
import { createPlainUser, writeBusyboxTar } from '../support/plain-user.ts'
import type { DockerRegistry } from '../support/docker-registry.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'

const asRoot = useCommand('rootless')
let user: PlainUser
let registry: DockerRegistry

beforeAll(async () => {
  user = createPlainUser()
  registry = await startDockerRegistry({ directory: join(asRoot.folder, 'registry') })
  user.write('registries.conf', `[[registry]]\nlocation = "${registry.host}"\ninsecure = true\n`)
  must('import', writeBusyboxTar(user), 'busybox')
})

afterAll(async () => {
  user[Symbol.dispose]()
  await registry[Symbol.asyncDispose]()
})

function must(...args: readonly string[]): string {
  const { exitCode, stdout, stderr } = user.run(...args)
  expect(exitCode, `tsbuild ${args.join(' ')}: ${stderr}`).toBe(0)
  return stdout.trimEnd()
}

/** Groups of the user's own that have these controllers: one on version 2, one for each on version 1. */
function delegateGroups(controllers: readonly string[]): string[] {
  const hierarchies = controllers.flatMap((controller) => findHierarchies().filter((hierarchy) => hierarchy.controllers.includes(controller)))
  return [...new Set(hierarchies.map(({ mountPoint }) => mountPoint))].map((mountPoint) => {
    const group = join(mountPoint, `tsbuild-lent-${process.pid}`)
    if (hierarchies.some(({ kind }) => kind === 'v2')) writeFileSync(join(mountPoint, 'cgroup.subtree_control'), controllers.map((controller) => `+${controller}`).join(' '))
    mkdirSync(group)
    for (const path of [group, ...['cgroup.procs', 'cgroup.subtree_control', 'tasks'].map((name) => join(group, name)).filter((path) => existsSync(path))]) chownSync(path, user.uid, user.uid)
    return group
  })
}

function removeGroup(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true })) if (entry.isDirectory()) removeGroup(join(group, entry.name))
  rmdirSync(group)
}

const inside = (script: string, ...options: readonly string[]): string[] => must('run', ...options, 'busybox', 'sh', '-c', script).split('\n')

describe('a plain user', () => {
  it('has a store of their own under the XDG data directory, closed to others', () => {
    expect(statSync(user.store)).toMatchObject({ uid: user.uid })
    expect(statSync(user.store).mode & 0o777).toBe(0o700)
  })

  it('has a configuration file of their own', () => {
    const file = user.write('.config/tsbuild/config.toml', '[containers]\npids-limit = 7\nnetwork = "nowhere"\n')
    expect(user.run('run', 'busybox', 'true')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('not "nowhere"') as string })
    expect(user.run('run', '--network', 'none', '--pids-limit', '-1', 'busybox', 'echo', 'up').stdout).toBe('up\n')
    rmSync(file)
  })

  it('builds, with files of several owners, setuid bits, opaque directories and deleted files', () => {
    const context = user.write('context/Dockerfile', [
      'FROM busybox',
      'COPY --chown=33:44 file /srv/file',
      'RUN echo app:x:1000:1000::/tmp:/bin/sh >> /etc/passwd; mkdir /data /data/sub; touch /data/old; cp /bin/busybox /srv/tool; chown 1000:1000 /srv/tool; chmod 4755 /srv/tool',
      'RUN rm -r /data; mkdir /data; touch /data/new',
      'USER app',
      'RUN id -u; touch /tmp/own',
    ].join('\n')).replace(/\/Dockerfile$/u, '')
    user.write('context/file', 'text')
    must('build', '-t', 'app', context)
    const lines = must('run', 'app', 'sh', '-c', 'stat -c "%n %a %u:%g" /srv/file /srv/tool /tmp/own; ls /data; id -u').split('\n')
    expect(lines).toEqual(['/srv/file 644 33:44', '/srv/tool 4755 1000:1000', '/tmp/own 644 1000:1000', 'new', '1000'])
    expect(must('fsck')).toContain('clean')
  })

  it('gets the digests that root gets', () => {
    user.write('same/file', 'text')
    const context = user.write('same/Dockerfile', 'FROM busybox\nCOPY --chown=33:44 --chmod=4750 file /srv/file\n').replace(/\/Dockerfile$/u, '')
    must('build', '-t', 'same', context)
    importBusybox(asRoot)
    asRoot.must('build', '-t', 'same', context)
    const diffIds = (text: string): unknown => (JSON.parse(text) as { RootFS: { Layers: unknown } }[])[0]?.RootFS.Layers
    expect(diffIds(must('inspect', 'same'))).toEqual(diffIds(asRoot.must('inspect', 'same')))
  })

  it('pushes, pulls, removes and collects', () => {
    const name = `${registry.host}/plain/busybox:1`
    must('tag', 'busybox', name)
    must('push', name)
    must('rmi', name)
    must('pull', name)
    expect(must('run', name, 'echo', 'pulled')).toBe('pulled')
    must('rmi', name)
    must('gc')
    expect(must('images')).not.toContain('plain/busybox')
  })

  it('is root in containers, and nobody outside', () => {
    const [id, ...map] = inside('id -u; cat /proc/self/uid_map')
    expect(id).toBe('0')
    expect(map.map((line) => line.trim().split(/\s+/u))).toEqual([['0', String(user.uid), '1'], ['1', expect.any(String), expect.any(String)]])
    const outside = user.write('outside', 'mine')
    must('run', 'busybox', 'true')
    expect(statSync(outside).uid).toBe(user.uid)
  })

  it('gets /dev, /proc and /sys as root does, with the host\'s devices', () => {
    expect(inside('for name in null zero full random urandom tty; do stat -c "%n %A %t:%T" /dev/$name; done; echo x > /dev/null; head -c 3 /dev/zero | wc -c'))
      .toEqual(['/dev/null crw-rw-rw- 1:3', '/dev/zero crw-rw-rw- 1:5', '/dev/full crw-rw-rw- 1:7', '/dev/random crw-rw-rw- 1:8', '/dev/urandom crw-rw-rw- 1:9', '/dev/tty crw-rw-rw- 5:0', '3'])
    expect(inside('wc -c < /proc/keys; ls -A /sys/firmware | wc -l; (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo WRITTEN; mkdir /sys/fs/cgroup/x 2>/dev/null && echo MADE; for f in /sys/fs/cgroup/*/; do mkdir $f/x 2>/dev/null && echo MADE $f; done; true')).toEqual(['0', '0'])
  })

  it('has a network namespace with loopback only when asked for none', () => {
    expect(inside('ls /sys/class/net; ping -c1 -W1 127.0.0.1 > /dev/null && echo reached', '--network', 'none')).toEqual(['lo', 'reached'])
  })

  it('cannot make devices, mount, or gain what the default capabilities lack', () => {
    expect(inside('mknod /tmp/d b 8 0 2>/dev/null && echo MADE; mount -t tmpfs none /mnt 2>/dev/null && echo MOUNTED; chroot /proc/1/root true 2>/dev/null && echo LEFT; grep CapInh /proc/self/status')).toEqual(['CapInh:\t0000000000000000'])
  })

  it('is refused a limit that no delegated cgroup can hold, by name', () => {
    const { exitCode, stderr } = user.run('run', '--memory', '64m', 'busybox', 'true')
    expect(exitCode).toBe(6)
    expect(stderr).toMatch(/cannot apply memory limit: .*; (?:leave the limit out|start tsbuild in a group of its own)/u)
  })

  it('applies the limits that cgroups delegated to them hold, and says which one a step died of', () => {
    const groups = delegateGroups(['memory', 'cpu', 'pids'])
    try {
      const limited = user.runInGroups(groups, 'run', '-m', '64m', '--cpus', '0.5', '--pids-limit', '50', 'busybox', 'sh', '-c', 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max memory.max cpu.max pids.max 2> /dev/null; true')
      expect(limited.exitCode, limited.stderr).toBe(0)
      expect(limited.stdout.split('\n').map((line) => line.split(' ')[0])).toEqual([String(64 << 20), '50000', '50', ''])
      const killed = user.runInGroups(groups, 'run', '-m', '16m', 'busybox', 'sh', '-c', 'head -c 64m /dev/zero | tail -c 64m > /dev/null; exit 3')
      expect(killed.stderr).toContain('memory')
      // The kernel mostly takes the largest process, and may take the shell instead.
      expect([3, 137]).toContain(killed.exitCode)
      const other = user.runInGroups(groups, 'run', '--cpuset-cpus', '0', 'busybox', 'true')
      expect(other).toMatchObject({ exitCode: 6, stdout: '' })
      expect(other.stderr).toContain('cannot apply cpuset limit')
      expect(groups.flatMap((group) => readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory() && !entry.name.startsWith('tsbuild-self-')))).toEqual([])
    } finally {
      for (const group of groups) removeGroup(group)
    }
  })

  it('has detached containers that later commands find, enter, join and end', () => {
    must('run', '-d', '--name', 'own', '--network', 'none', '--hostname', 'ownhost', 'busybox', 'sleep', '600')
    try {
      const [hostname, id, groups, capabilities] = must('exec', '-u', '33:44', 'own', 'sh', '-c', 'hostname; id -u; id -g; sed -n "s/^CapEff:.//p" /proc/self/status').split('\n')
      expect([hostname, id, groups, capabilities]).toEqual(['ownhost', '33', '44', '0000000000000000'])
      expect(must('exec', 'own', 'sh', '-c', 'sed -n "s/^CapEff:.//p" /proc/self/status; cat /proc/1/comm')).toBe('00000000a80425fb\ntsbuild-helper')
      expect(user.run('exec', 'own', 'sh', '-c', 'exit 7').exitCode).toBe(7)
      const net = must('exec', 'own', 'readlink', '/proc/self/ns/net')
      expect(must('run', '--network', 'container:own', '--pid', 'container:own', 'busybox', 'sh', '-c', 'readlink /proc/self/ns/net; pidof sleep | wc -w')).toBe(`${net}\n1`)
    } finally {
      must('rm', '-f', 'own')
    }
  })

  it('gets exit codes and signals passed through', () => {
    expect(user.run('run', 'busybox', 'sh', '-c', 'exit 43').exitCode).toBe(43)
    expect(user.run('run', 'busybox', 'sh', '-c', 'kill -9 $$').exitCode).toBe(137)
    expect(user.run('frobnicate').exitCode).toBe(2)
  })

  it('leaves nothing behind', async () => {
    await expectNothingLeft(user.store)
    expect(readdirSync(join(user.store, 'snapshots'))).toEqual([])
  })
})

describe('a plain user without subordinate ids', () => {
  it('is told so, and still runs what has files of one owner', () => {
    const { exitCode, stdout, stderr } = user.runWithIds('', 'run', 'busybox', 'sh', '-c', 'cat /proc/self/uid_map /proc/self/setgroups; id -G')
    expect(exitCode, stderr).toBe(0)
    expect(stderr).toContain('/etc/subuid has no range')
    expect(stdout.split('\n').map((line) => line.trim().split(/\s+/u).join(' '))).toEqual([`0 ${user.uid} 1`, 'deny', '0', ''])
  })

  it('cannot run as another user there, and is told what failed', () => {
    const { exitCode, stderr } = user.runWithIds('', 'run', '--user', '1000', 'busybox', 'id')
    expect(exitCode).toBe(6)
    expect(stderr).toContain('user')
  })

  it.each([
    ['root', () => `${user.name}:0:65536\n`, 'contains root'],
    ['the user itself', () => `${user.name}:${user.uid}:65536\n`, 'contains root or'],
    ['an id twice', () => `${user.name}:200000:65536\n${user.name}:210000:65536\n`, 'overlaps'],
  ])('does not accept a range with %s', (_, ids, reason) => {
    const { exitCode, stdout, stderr } = user.runWithIds(ids(), 'run', 'busybox', 'cat', '/proc/self/uid_map')
    expect(exitCode, stderr).toBe(0)
    expect(stderr).toContain(reason)
    expect(stdout.trim().split(/\s+/u)).toEqual(['0', String(user.uid), '1'])
  })
})

it('finds the store of root where it was', () => {
  expect(existsSync(join(asRoot.root, 'version'))).toBe(true)
  expect(readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/u)).toEqual(['0', '0', '4294967295'])
})
