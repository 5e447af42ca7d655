import { readFileSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { ContainerCgroup } from '../cgroup/container-cgroup.ts'
import type { HelperMount, Pair, Propagation } from '../container-defaults.ts'
import { cgroupMounts, deviceFolder, mountAttributes } from '../container-defaults.ts'
import type { DeviceNode } from '../devices.ts'
import { foldersOf } from '../devices.ts'
import { InvalidSpec } from '../errors.ts'
import type { ConfigNode } from './config-node.ts'

/** These become folders of root's whatever the root filesystem has there. */
const pinned: readonly string[] = ['/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue', '/sys', '/sys/fs/cgroup']

const filesystems: readonly string[] = ['proc', 'tmpfs', 'devpts', 'mqueue', 'sysfs']

const flags: Readonly<Record<string, number>> = {
  ro: mountAttributes.readonly, rro: mountAttributes.readonly, nosuid: mountAttributes.nosuid, nodev: mountAttributes.nodev, noexec: mountAttributes.noexec, noatime: 0x10, strictatime: mountAttributes.strictatime,
}

export const propagations: Readonly<Record<string, Propagation>> = { slave: 'slave', rslave: 'slave', private: 'private', rprivate: 'private', unbindable: 'unbindable', runbindable: 'unbindable' }

/** What mounts have anyway, or what was meant for the kind of mount itself. */
const plain: readonly string[] = ['rw', 'suid', 'dev', 'exec', 'atime', 'relatime', 'defaults', 'bind', 'rbind', 'private', 'rprivate', 'slave', 'rslave', 'unbindable', 'runbindable', 'tmpcopyup', 'nodiratime']
const noneReachTheHost = 'rslave or rprivate: what is mounted in a container never reaches the host with this runtime'
/** Why, where there is more to say than that it cannot be done. */
const reasons: Readonly<Record<string, string>> = { shared: noneReachTheHost, rshared: noneReachTheHost }
const refused: readonly string[] = ['shared', 'rshared', 'idmap', 'ridmap', 'remount', 'sync', 'dirsync', 'mand', 'nosymfollow', 'copy-symlink', 'src-nofollow']

interface BundleTree {
  readonly mounts: readonly ConfigNode[]
  readonly devices: readonly ConfigNode[]
  readonly bundle: string
}

/** The mounts of a bundle in its order, once the container's groups are known. @throws {InvalidSpec} */
export function bundleMounts({ mounts, devices, bundle }: BundleTree): (cgroup: ContainerCgroup) => readonly HelperMount[] {
  const nodes = devices.map(readNode)
  const read = mounts.map((mount) => readMount(mount, bundle, nodes))
  for (const [target, type] of [['/proc', 'proc'], ['/dev', 'tmpfs']] as const) {
    if (!mounts.some((mount) => normalize(mount.needText('destination')) === target && mount.text('type') === type)) throw new InvalidSpec('mounts', target, `a ${type} mounted there`)
  }
  return (cgroup) => read.flatMap((make) => make(cgroup))
}

function readMount(mount: ConfigNode, bundle: string, nodes: readonly DeviceNode[]): (cgroup: ContainerCgroup) => readonly HelperMount[] {
  mount.refuse(['uidMappings', 'gidMappings'])
  const target = normalize(mount.needText('destination'))
  const type = mount.text('type') ?? ''
  const options = mount.texts('options')
  refuseMount(mount, { target, type, options })
  const attributes = options.reduce((sum, option) => sum | (flags[option] ?? 0), 0)
  const propagation = options.map((option) => propagations[option]).findLast((found) => found !== undefined)
  const place = { target, isPinned: pinned.includes(target), attributes, ...(propagation === undefined ? {} : { propagation }) }
  if (type === 'bind' || options.some((option) => option === 'bind' || option === 'rbind')) {
    const made: HelperMount = { ...place, kind: 'bind', source: readSource(mount, bundle, options) }
    return () => [made]
  }
  if (type === 'cgroup') return (cgroup) => target === '/sys/fs/cgroup' ? cgroupMounts(cgroup, attributes) : refuseType(mount, 'at /sys/fs/cgroup')
  if (!filesystems.includes(type)) return refuseType(mount, `bind, cgroup, ${filesystems.join(', ')}`)
  const filled = options.includes('tmpcopyup') && type === 'tmpfs' ? { isFilled: true } : {}
  const made: HelperMount = target === '/dev' ? { ...deviceFolder(nodes, foldersOf(nodes)), attributes, options: filesystemOptions(mount, options) } : { ...place, kind: 'filesystem', type, options: filesystemOptions(mount, options), ...filled }
  return () => [made]
}

/** What the filesystem itself is asked for; its source goes first, where the helper looks for it. */
function filesystemOptions(mount: ConfigNode, options: readonly string[]): Pair[] {
  const source = mount.text('source') ?? ''
  return [...source === '' ? [] : [['source', source] as const], ...options.filter((option) => !plain.includes(option) && !Object.hasOwn(flags, option)).map(readOption)]
}

function refuseMount({ field }: ConfigNode, { target, type, options }: { readonly target: string; readonly type: string; readonly options: readonly string[] }): void {
  const wrong = options.find((option) => refused.includes(option))
  if (wrong !== undefined) throw new InvalidSpec(`${field}.options`, wrong, reasons[wrong] ?? 'nothing: this runtime cannot do it')
  const isForeign = /^\/(?:proc|sys)(?:\/|$)/u.test(target) && !pinned.includes(target)
  if (target === '/' || (target === '/dev' && type !== 'tmpfs') || isForeign) throw new InvalidSpec(`${field}.destination`, target, 'neither / nor, but for what belongs there, /dev, /proc or /sys')
}

const nodeKinds: Readonly<Record<string, number>> = { c: 0o020000, u: 0o020000, b: 0o060000, p: 0o010000 }

function readNode(device: ConfigNode): DeviceNode {
  const path = device.needText('path')
  const type = device.needText('type')
  const kind = nodeKinds[type]
  if (kind === undefined) throw new InvalidSpec(`${device.field}.type`, type, 'c, u, b or p')
  if (!/^\/dev(?:\/(?!\.\.?(?:\/|$))[^/]+)+$/u.test(path)) throw new InvalidSpec(`${device.field}.path`, path, 'a path below /dev')
  const mode = kind | (device.number('fileMode') ?? 0o666) & 0o777
  return { name: path.slice('/dev/'.length), mode, uid: device.number('uid') ?? 0, gid: device.number('gid') ?? 0, ...(type === 'p' ? { major: 0, minor: 0 } : { major: device.needNumber('major'), minor: device.needNumber('minor') }) }
}

function refuseType(mount: ConfigNode, wanted: string): never {
  throw new InvalidSpec(`${mount.field}.type`, mount.text('type'), wanted)
}

function readOption(option: string): Pair {
  const equals = option.indexOf('=')
  return equals < 0 ? [option, ''] : [option.slice(0, equals), option.slice(equals + 1)]
}

/** Mounts below the source come along, as with rbind; where only it is asked for and there are some, that would show too much. */
function readSource(mount: ConfigNode, bundle: string, options: readonly string[]): string {
  const asked = resolve(bundle, mount.needText('source'))
  let source: string
  try {
    source = realpathSync(asked)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw new InvalidSpec(`${mount.field}.source`, asked, 'a path of this host')
    throw error
  }
  if (!options.includes('rbind') && hasMountsBelow(source)) throw new InvalidSpec(`${mount.field}.options`, options, 'rbind, since there are mounts below the source')
  return source
}

function hasMountsBelow(folder: string): boolean {
  const below = folder === '/' ? '/' : `${folder}/`
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').some((line) => (line.split(' ')[4] ?? '').startsWith(below))
}

function normalize(target: string): string {
  return `/${target.split('/').filter((part) => part !== '' && part !== '.').join('/')}`
}
