import { dirname, join } from 'node:path'
import type { ContainerCgroup } from './cgroup/container-cgroup.ts'
import { viewOf } from './cgroup/container-cgroup.ts'
import type { ContainerSpec, Rootfs } from './container-spec.ts'
import type { DeviceNode } from './devices.ts'
import { findDevices } from './devices.ts'
import type { HostSupport } from './host-support.ts'

/** A mount in the helper's terms. @see native/helper/container/request.h */
export type HelperMount = {
  readonly target: string
  /** The target becomes a folder of root's whatever the image has there, and its links are not followed. */
  readonly isPinned: boolean
  readonly attributes: number
  readonly propagation?: Propagation
} & (
  | {
    readonly kind: 'filesystem'
    readonly type: string
    /** With what lies at the target. */
    readonly isFilled?: boolean
    readonly options: readonly Pair[]
    readonly folders?: readonly string[]
    readonly links?: readonly Pair[]
    readonly nodes?: readonly DeviceNode[]
  }
  /** `namespace` is the path of the mount namespace that the source is in; default ours. */
  | { readonly kind: 'bind'; readonly source: string; readonly namespace?: string; readonly hasContainerIds?: boolean }
  | { readonly kind: 'layers'; readonly rootfs: Rootfs; readonly path: string }
  | { readonly kind: 'file'; readonly content: Uint8Array; readonly mode: number; readonly uid: number; readonly gid: number }
)

export type HelperFilesystem = Extract<HelperMount, { readonly kind: 'filesystem' }>

/** `slave`: what is mounted on the host below the source later appears in the container too. */
export type Propagation = 'private' | 'slave' | 'unbindable'

export type Pair = readonly [key: string, value: string]

/** MOUNT_ATTR_* of mount_setattr(2). */
export const mountAttributes = { readonly: 1, nosuid: 2, nodev: 4, noexec: 8, strictatime: 0x20 } as const

const { readonly: ro, nosuid, nodev, noexec, strictatime } = mountAttributes
const defaultShmSizeBytes = 64 * 1024 * 1024
const characterDevice = 0o020000

const devices: readonly DeviceNode[] = [
  { name: 'null', major: 1, minor: 3 },
  { name: 'zero', major: 1, minor: 5 },
  { name: 'full', major: 1, minor: 7 },
  { name: 'random', major: 1, minor: 8 },
  { name: 'urandom', major: 1, minor: 9 },
  { name: 'tty', major: 5, minor: 0 },
].map((node) => ({ ...node, mode: characterDevice | 0o666, uid: 0, gid: 0 }))

const deviceLinks: readonly Pair[] = [
  ['ptmx', 'pts/ptmx'], ['fd', '/proc/self/fd'], ['stdin', '/proc/self/fd/0'], ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'], ['core', '/proc/kcore'],
]

const ownFolders = ['pts', 'shm', 'mqueue']

/** Where something is mounted, so that a node would not be seen. */
function isBelowOwnFolder(name: string): boolean {
  return ownFolders.some((folder) => name.startsWith(`${folder}/`))
}

/** What Docker mounts into every container, in its order. */
export function defaultMounts(spec: ContainerSpec, cgroup: ContainerCgroup): HelperMount[] {
  const isPrivileged = spec.privilege.isPrivileged === true
  const added = findDevices(spec)
  const pinned = { kind: 'filesystem', isPinned: true } as const
  return [
    { ...pinned, target: '/proc', type: 'proc', attributes: nosuid | noexec | nodev, options: [] },
    { ...deviceFolder(added.nodes, added.folders), attributes: nosuid | strictatime, options: [['mode', '755'], ['size', '65536k']] },
    { ...pinned, target: '/dev/pts', type: 'devpts', attributes: nosuid | noexec, options: [['newinstance', ''], ['ptmxmode', '0666'], ['mode', '0620'], ['gid', '5']] },
    { ...pinned, target: '/sys', type: 'sysfs', attributes: nosuid | noexec | nodev | (isPrivileged ? 0 : ro), options: [] },
    ...cgroupMounts(cgroup, nosuid | noexec | nodev | (isPrivileged ? 0 : ro)),
    { ...pinned, target: '/dev/mqueue', type: 'mqueue', attributes: nosuid | noexec | nodev, options: [] },
    sharedMemory(spec),
  ]
}

/** /dev with its usual nodes and those added. */
export function deviceFolder(nodes: readonly DeviceNode[] = [], folders: readonly string[] = []): HelperFilesystem {
  return {
    kind: 'filesystem', isPinned: true, target: '/dev', type: 'tmpfs', attributes: 0, options: [],
    folders: [...new Set([...ownFolders, ...folders])], links: deviceLinks,
    nodes: [...devices, ...nodes.filter(({ name }) => !devices.some((device) => device.name === name) && !deviceLinks.some(([link]) => link === name) && !isBelowOwnFolder(name))],
  }
}

/** Whoever shares the IPC namespace shares /dev/shm too: it holds POSIX shared memory. */
function sharedMemory({ isolation }: ContainerSpec): HelperMount {
  const place = { target: '/dev/shm', isPinned: true, attributes: nosuid | noexec | nodev } as const
  const ipc = isolation.namespaces?.ipc
  if (ipc?.kind === 'host') return { ...place, kind: 'bind', source: '/dev/shm' }
  if (ipc?.kind === 'joined') return { ...place, kind: 'bind', source: '/dev/shm', namespace: join(dirname(ipc.path), 'mnt') }
  return { ...place, kind: 'filesystem', type: 'tmpfs', options: [['mode', '1777'], ['size', String(isolation.shmSizeBytes ?? defaultShmSizeBytes)]] }
}

/** The container's own groups only. A pure v2 host shows one at the top, others a folder for each hierarchy. */
export function cgroupMounts(cgroup: ContainerCgroup, attributes: number): HelperMount[] {
  const bind = { kind: 'bind', isPinned: true, attributes } as const
  const [first] = cgroup.groups
  if (first?.hierarchy.kind === 'v2' && cgroup.groups.length === 1) return [{ ...bind, target: '/sys/fs/cgroup', source: first.folder }]
  const views = cgroup.groups.map((group) => ({ ...viewOf(group), source: group.folder }))
  return [
    {
      kind: 'filesystem', target: '/sys/fs/cgroup', isPinned: true, type: 'tmpfs', attributes, options: [['mode', '755']],
      folders: views.map((view) => view.name), links: views.flatMap((view) => view.links.map((link): Pair => [link, view.name])),
    },
    ...views.map((view) => ({ ...bind, target: `/sys/fs/cgroup/${view.name}`, source: view.source })),
  ]
}

/** What Docker hides, because it tells about the host or about other containers. */
export function maskedPaths(host: HostSupport): readonly string[] {
  return [
    '/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/sched_debug', '/proc/scsi',
    '/proc/timer_list', '/proc/timer_stats', '/sys/devices/virtual/powercap', '/sys/firmware', ...host.thermalPaths,
  ]
}

/** What Docker makes read-only, because it controls the host. */
export const readonlyPaths: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/** What Docker sets in a network namespace of the container's own, and what was asked for; below /proc/sys. */
export function kernelSettings({ isolation }: ContainerSpec, host: HostSupport): readonly Pair[] {
  const asked = Object.entries(isolation.sysctls ?? {}).map(([name, value]): Pair => [name.replaceAll('.', '/'), value])
  // In a user namespace the range of groups would have to be mapped as a whole.
  const ping: readonly Pair[] = (isolation.idMaps ?? host.idMaps) === undefined ? [['net/ipv4/ping_group_range', '0 2147483647']] : []
  const isShared = isolation.network.mode === 'host' || isolation.network.mode === 'joined'
  const defaults: readonly Pair[] = isShared ? [] : [['net/ipv4/ip_unprivileged_port_start', '0'], ...ping]
  return [...defaults.filter(([key]) => !asked.some(([other]) => other === key)), ...asked]
}
