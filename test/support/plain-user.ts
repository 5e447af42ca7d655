/** A user of the system without any privilege, with the built command in a place that it can read. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { getAddon } from '../../native/index.ts'
import { writeBusyboxRootfs } from '../../scripts/busybox-rootfs.ts'
import type { Outcome } from './command.ts'

const project = join(import.meta.dirname, '..', '..')

export interface PlainUser extends Disposable {
  readonly name: string
  readonly uid: number
  readonly home: string
  /** Where a plain user's store lies. */
  readonly store: string
  /** Runs `tsbuild ARGS` in the home. */
  readonly run: (...args: readonly string[]) => Outcome
  /** The same where /etc/subuid and /etc/subgid hold these lines, for this command only. */
  readonly runWithIds: (ids: string, ...args: readonly string[]) => Outcome
  /** The same where /dev/net/tun can be opened, as on most hosts. */
  readonly runWithTunnel: (...args: readonly string[]) => Outcome
  /** The same where /dev/fuse can be opened, as on most hosts. */
  readonly runWithFuse: (...args: readonly string[]) => Outcome
  /** The same as a member of these cgroups, which have been given to the user. */
  readonly runInGroups: (groups: readonly string[], ...args: readonly string[]) => Outcome
  /**
   * The same as in a pod: with this folder as volume, which belongs to root and the user's group, every /sys read-only, and no capability
   * within reach but those that newuidmap and newgidmap have from their files.
   */
  readonly runInPod: (volume: string, ...args: readonly string[]) => Outcome
  /** A file below the home, which belongs to the user. @returns its path */
  readonly write: (path: string, text: string) => string
}

export function createPlainUser(env: NodeJS.ProcessEnv = {}): PlainUser {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-plain-'))
  const name = `tsb${folder.slice(-6).toLowerCase()}`
  const home = join(folder, 'home')
  execFileSync('useradd', ['--create-home', '--home-dir', home, '--shell', '/bin/sh', name], { stdio: 'pipe' })
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))) as [number, number]
  chmodSync(folder, 0o755)
  const command = installCommand(folder)
  const all: NodeJS.ProcessEnv = { PATH: process.env['PATH'], HOME: home, CONTAINERS_REGISTRIES_CONF: join(home, 'registries.conf'), ...env }
  const write = (path: string, text: string): string => {
    const full = join(home, path)
    mkdirSync(dirname(full), { recursive: true })
    writeFileSync(full, text)
    execFileSync('chown', ['-R', `${uid}:${gid}`, home])
    return full
  }
  write('registries.conf', '')
  const execute = (program: string, args: readonly string[]): Outcome => {
    const { status, stdout, stderr, error } = spawnSync(program, args, { env: all, encoding: 'utf8', cwd: home, maxBuffer: 1 << 28 })
    if (error !== undefined) throw error
    return { exitCode: status, stdout, stderr }
  }
  const asUser = ['setpriv', '--reuid', String(uid), '--regid', String(gid), '--init-groups', command.node, command.script]
  const withDevice = ({ path, major, minor }: { readonly path: string; readonly major: number; readonly minor: number }, args: readonly string[]): Outcome => {
    const place = join(folder, 'device')
    mkdirSync(place, { recursive: true })
    const script = 'mount -t tmpfs none "$1" && mknod -m 666 "$1/it" c "$2" "$3" && mount --bind "$1/it" "$4" || exit 99; shift 4; exec "$@"'
    return execute('unshare', ['-m', 'sh', '-c', script, 'sh', place, String(major), String(minor), path, ...asUser, ...args])
  }
  return {
    name, uid, home, write,
    store: join(home, '.local', 'share', 'tsbuild'),
    run: (...args) => execute('/usr/bin/env', [...asUser, ...args]),
    runWithIds: (ids, ...args) => {
      const file = join(folder, 'ids')
      writeFileSync(file, ids)
      return execute('unshare', ['-m', 'sh', '-c', 'for name in subuid subgid; do mount --bind "$1" /etc/$name || exit 99; done; shift; exec "$@"', 'sh', file, ...asUser, ...args])
    },
    runWithTunnel: (...args) => withDevice({ path: '/dev/net/tun', major: 10, minor: 200 }, args),
    runWithFuse: (...args) => withDevice({ path: '/dev/fuse', major: 10, minor: 229 }, args),
    runInPod: (volume, ...args) => {
      const tools = join(folder, 'pod')
      mkdirSync(tools, { recursive: true })
      for (const [tool, capability] of [['newuidmap', 7], ['newgidmap', 6]] as const) {
        cpSync(`/usr/bin/${tool}`, join(tools, tool))
        chmodSync(join(tools, tool), 0o755)
        getAddon().setXattr(join(tools, tool), 'security.capability', fileCapability(capability))
      }
      mkdirSync(volume, { recursive: true })
      chownSync(volume, 0, gid)
      chmodSync(volume, 0o2777)
      const set = 'mount --bind "$1" /mnt || exit 99; grep " - sysfs " /proc/self/mountinfo | cut -d" " -f5 | while read -r place; do mount -o remount,bind,ro "$place"; done; for tool in newuidmap newgidmap; do mount --bind "$2/$tool" /usr/bin/$tool || exit 99; done; shift 2; exec "$@"'
      const [setpriv = '', ...rest] = asUser
      return execute('unshare', ['-m', 'sh', '-c', set, 'sh', volume, tools, setpriv, '--bounding-set', '-all,+setuid,+setgid', '--inh-caps', '-all', ...rest.slice(0, -2), 'env', 'TSBUILD_ROOT=/mnt/tsbuild', ...rest.slice(-2), ...args])
    },
    runInGroups: (groups, ...args) => execute('sh', ['-c', 'for group in $1; do echo 0 > "$group/cgroup.procs" || exit 99; done; shift; exec "$@"', 'sh', groups.join(' '), ...asUser, ...args]),
    [Symbol.dispose]: () => {
      removeUser(name)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A user is there as long as any process of theirs is, and one that was ended may still be ending. */
function removeUser(name: string): void {
  for (let turn = 1; ; turn += 1) {
    const { status, stderr } = spawnSync('userdel', [name], { encoding: 'utf8' })
    if (status === 0) return
    if (turn === 20) throw new Error(`userdel ${name}: ${stderr}`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
  }
}

/** Permitted and effective: struct vfs_cap_data of version 2. */
function fileCapability(number: number): Uint8Array {
  const data = Buffer.alloc(20)
  data.writeUInt32LE(0x02000001, 0)
  data.writeUInt32LE(1 << number, 4)
  return data
}

/** The rootfs of Debian's busybox as a tar in the user's home. */
export function writeBusyboxTar(user: PlainUser): string {
  const path = join(user.home, 'busybox.tar')
  writeBusyboxRootfs(path)
  chmodSync(path, 0o644)
  return path
}

/** The project's own folder may lie where only root can read. */
function installCommand(folder: string): { readonly node: string; readonly script: string } {
  if (!existsSync(join(project, 'dist', 'cli.cjs'))) throw new Error('these tests run dist/: npm run build first')
  const target = join(folder, 'tsbuild')
  for (const part of ['bin', 'dist', join('native', 'build'), 'package.json']) cpSync(join(project, part), join(target, part), { recursive: true })
  const node = join(folder, 'node')
  cpSync(process.execPath, node)
  chmodSync(node, 0o755)
  return { node, script: join(target, 'bin', 'tsbuild.cjs') }
}
