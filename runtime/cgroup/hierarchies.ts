import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One mounted cgroup tree. Hosts of the hybrid kind have several: each controller is in one of them. */
export interface CgroupHierarchy {
  readonly kind: 'v1' | 'v2'
  readonly mountPoint: string
  readonly controllers: readonly string[]
  /** The folder of the group that this process is in, or the nearest that is visible here. */
  readonly ownGroup: string
}

/** @throws ENOENT when /proc is not mounted */
export function findHierarchies(): CgroupHierarchy[] {
  return parseHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'))
    .map((hierarchy) => hierarchy.kind === 'v1' ? hierarchy : { ...hierarchy, controllers: readWords(join(hierarchy.mountPoint, 'cgroup.controllers')) })
}

/** From /proc/self/mountinfo and /proc/self/cgroup; v2's controllers are not in there. @see cgroups(7), proc_pid_mountinfo(5) */
export function parseHierarchies(mountinfo: string, selfCgroup: string): CgroupHierarchy[] {
  const mounts = mountinfo.split('\n').filter((line) => line !== '').map(parseMount)
  return selfCgroup.split('\n').flatMap((line) => {
    const [, names, path] = /^\d+:([^:]*):(.*)$/u.exec(line) ?? []
    if (names === undefined || path === undefined || names.startsWith('name=')) return []
    const controllers = names === '' ? [] : names.split(',')
    const mount = mounts.find((candidate) => names === ''
      ? candidate.type === 'cgroup2'
      : candidate.type === 'cgroup' && controllers.every((controller) => candidate.options.includes(controller)))
    if (mount === undefined) return []
    return [{ kind: names === '' ? 'v2' : 'v1', mountPoint: mount.mountPoint, controllers, ownGroup: join(mount.mountPoint, below(path, mount.root)) }]
  })
}

/** Every place where some cgroup hierarchy is mounted, of whatever controllers. */
export function listCgroupMounts(mountinfo: string): readonly { readonly mountPoint: string; readonly options: readonly string[] }[] {
  return mountinfo.split('\n').filter((line) => line !== '').map(parseMount).filter(({ type }) => type === 'cgroup' || type === 'cgroup2')
}

export function readWords(path: string): string[] {
  return readFileSync(path, 'utf8').split(/\s+/u).filter((word) => word !== '')
}

interface CgroupMount {
  readonly root: string
  readonly mountPoint: string
  readonly type: string
  readonly options: readonly string[]
}

function parseMount(line: string): CgroupMount {
  const [front = '', back = ''] = line.split(' - ')
  const [, , , root = '', mountPoint = ''] = front.split(' ')
  const [type = '', , options = ''] = back.split(' ')
  return { root: unescape(root), mountPoint: unescape(mountPoint), type, options: options.split(',') }
}

function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/gu, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** A container sees only a part of the tree: then the mount's root is a group, and paths may lead out of it. */
function below(path: string, root: string): string {
  if (path === '/' || path.startsWith('/..')) return ''
  if (root === '/') return path
  return path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : ''
}
