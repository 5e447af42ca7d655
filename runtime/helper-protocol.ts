import { constants } from 'node:os'
import type { HelperReport } from '../native/index.ts'
import { WireReader, WireWriter, writeLower } from '../native/index.ts'
import { capabilityMasks, listCapabilities } from './capabilities.ts'
import type { ContainerCgroup } from './cgroup/container-cgroup.ts'
import type { HelperMount, Pair, Propagation } from './container-defaults.ts'
import { defaultMounts, kernelSettings, maskedPaths, mountAttributes, readonlyPaths } from './container-defaults.ts'
import type { NotExecuted } from './container-exit.ts'
import type { BridgePort, ContainerSpec, Isolation, Mount, NamespaceChoice, Network, Rootfs } from './container-spec.ts'
import type { ContainerStdio } from './container-stdio.ts'
import type { SetupStage } from './errors.ts'
import type { HostSupport } from './host-support.ts'
import { isKernelAtLeast } from './host-support.ts'
import { resourceLimits } from './resource-limits.ts'
import { adaptMounts } from './rootless/adapt-mounts.ts'
import type { SeccompFilter } from './seccomp/compile.ts'
import { compileDefaultProfile, compileProfile } from './seccomp/compile.ts'
import { parseProfile } from './seccomp/profile.ts'
import { securityLabel } from './security-label.ts'

/** What the helper tells about a container. @see native/helper/container/stages.h */
export type ContainerReport =
  /** `pid` is that of init, as we see it. */
  | { readonly kind: 'started'; readonly pid: number }
  /** It is in its namespaces, and waits to be told to go on. */
  | { readonly kind: 'namespaced' }
  /** All is there but the program; once more when that is about to be executed. */
  | { readonly kind: 'created' }
  | { readonly kind: 'exited'; readonly status: number }
  | { readonly kind: 'not-executed'; readonly notExecuted: NotExecuted }
  /** The end of init, and with it of the container. */
  | { readonly kind: 'ended'; readonly status: number; readonly cpuMs: number; readonly ioReadBytes: number; readonly ioWriteBytes: number }

/** What a container has in its tree, in the helper's terms. */
export interface Places {
  readonly mounts: readonly HelperMount[]
  readonly masked: readonly string[]
  readonly readonly: readonly string[]
  /** Kernel settings, by their paths below /proc/sys. */
  readonly settings: readonly Pair[]
  /** `shared`: with mount namespaces that the container makes itself. */
  readonly rootPropagation?: Propagation | 'shared'
}

/** What becomes of the mount of a container's root. */
export interface KeptRoot {
  /** A kept mount to begin with, instead of mounting the layers. */
  readonly path: string | undefined
  /** Where the helper sends a clone of the mount that it makes, for the next container. */
  readonly socketFd: number | undefined
}

interface RequestParts {
  readonly spec: ContainerSpec
  readonly stdio: ContainerStdio['kind']
  readonly cgroup: ContainerCgroup
  readonly host: HostSupport
  /** Default: Docker's, and those of the spec. */
  readonly places?: Places
  readonly keeping?: KeptRoot
  /** Writes what a mode wants beyond that. */
  readonly append?: ((wire: WireWriter) => void) | undefined
}

/** The request of the helper's mode `run`. @see native/helper/container/request.h */
export function encodeRequest({ spec, stdio, cgroup, host, places = defaultPlaces(spec, cgroup, host), keeping, append }: RequestParts): Uint8Array {
  const wire = new WireWriter()
  const hasLowerdirAppend = isKernelAtLeast(host, 6, 8)
  writeRootfs(wire, spec.rootfs, { hasLowerdirAppend, isReadonly: spec.privilege.readonlyRootfs ?? false, keeping })
  writeNamespaces(wire, spec.isolation)
  wire.flag(isKernelAtLeast(host, 6, 6))
  wire.bytes(spec.isolation.hostname).bytes(spec.isolation.domainname ?? '')
  wire.list(places.mounts, (mount) => writeMount(wire, mount, hasLowerdirAppend))
  wire.list(places.masked, (path) => wire.bytes(path))
  wire.list(places.readonly, (path) => wire.bytes(path))
  writePairs(wire, places.settings)
  wire.u32(propagations[places.rootPropagation ?? 'private'])
  wire.list(cgroup.groups, (group) => wire.bytes(group.folder).flag(group.hierarchy.kind === 'v2'))
  writeProcess(wire, { spec, stdio, host })
  append?.(wire)
  return wire.finish()
}

/** Docker's, and those of the spec. */
export function defaultPlaces(spec: ContainerSpec, cgroup: ContainerCgroup, host: HostSupport): Places {
  const mounts = adaptMounts(defaultMounts(spec, cgroup), { ids: spec.isolation.idMaps ?? host.idMaps, network: spec.isolation.network.mode })
  const { isPrivileged = false, systemPaths } = spec.privilege
  const isOpen = isPrivileged || systemPaths === 'unconfined'
  return {
    mounts: [...mounts, ...spec.mounts.map(toHelperMount)],
    masked: isOpen ? [] : maskedPaths(host),
    readonly: isOpen ? [] : readonlyPaths,
    settings: kernelSettings(spec, host),
  }
}

const rootKinds = { overlay: 0, directory: 1, fuse: 2 } as const
const mountKinds: Readonly<Record<HelperMount['kind'], number>> = { filesystem: 0, bind: 1, file: 2, layers: 3 }
const stdioKinds: Readonly<Record<ContainerStdio['kind'], number>> = { descriptors: 0, events: 1, terminal: 2 }

/** MS_* of mount(2). */
const propagations: Readonly<Record<Propagation | 'shared', number>> = { private: 0, shared: 1 << 20, slave: 1 << 19, unbindable: 1 << 17 }

interface RootfsOptions {
  readonly hasLowerdirAppend: boolean
  readonly isReadonly: boolean
  readonly keeping?: KeptRoot | undefined
}

function writeRootfs(wire: WireWriter, rootfs: Rootfs, { hasLowerdirAppend, isReadonly, keeping }: RootfsOptions): void {
  if (rootfs.kind === 'directory') {
    wire.u8(rootKinds.directory).list([rootfs], (lower) => { writeLower(wire, lower) })
    wire.bytes('').bytes('').bytes(rootfs.start ?? '').bytes('').flag(false)
  } else {
    const { lowers, upper = { upperdir: '', workdir: '' }, xattrs, program } = rootfs
    wire.u8(program === undefined ? rootKinds.overlay : rootKinds.fuse).list(lowers, (lower) => { writeLower(wire, lower) })
    wire.bytes(upper.upperdir).bytes(upper.workdir).bytes('').bytes(program ?? '').flag(xattrs === 'user')
  }
  wire.flag(hasLowerdirAppend).flag(isReadonly).bytes(keeping?.path ?? '').flag(keeping?.socketFd !== undefined)
}

function writeNamespaces(wire: WireWriter, { namespaces = {}, network, clockOffsets = {}, idMaps }: Isolation): void {
  for (const choice of [namespaces.pid, namespaces.ipc, namespaces.uts]) writeNamespace(wire, choice)
  writeNamespace(wire, networkNamespace(network))
  writeNamespace(wire, namespaces.cgroup)
  for (const ranges of [idMaps?.uids ?? [], idMaps?.gids ?? []]) wire.list(ranges, ({ inside, outside, count }) => wire.u32(inside).u32(outside).u32(count))
  writePort(wire, network.mode === 'bridge' && network.namespace?.isConnected !== true ? network.port : undefined)
  wire.flag(network.mode === 'private')
  writePairs(wire, (['monotonic', 'boottime'] as const).flatMap((clock): readonly Pair[] => {
    const seconds = clockOffsets[clock]
    return seconds === undefined ? [] : [[clock, `${Math.floor(seconds)} ${Math.round((seconds - Math.floor(seconds)) * 1e9)}`]]
  }))
}

function networkNamespace(network: Network): NamespaceChoice | undefined {
  if (network.mode === 'host') return { kind: 'host' }
  const path = network.mode === 'joined' ? network.path : 'namespace' in network ? network.namespace.path : undefined
  return path === undefined ? undefined : { kind: 'joined', path }
}

function writePort(wire: WireWriter, port: BridgePort | undefined): void {
  if (port === undefined) {
    wire.bytes('').bytes('').u32(0).u8(0).u32(0).u32(0).flag(false)
    return
  }
  wire.bytes(port.bridge).bytes(port.name).u32(wireAddress(port.address)).u8(port.prefix)
  wire.u32(wireAddress(port.gateway)).u32(port.mtu).flag(port.isIsolated)
}

function writeNamespace(wire: WireWriter, choice: NamespaceChoice | undefined): void {
  wire.u8(choice === undefined ? 0 : choice.kind === 'host' ? 1 : 2).bytes(choice?.kind === 'joined' ? choice.path : '')
}

/** A dotted address in the order that it has in a packet. */
function wireAddress(dotted: string): number {
  return Buffer.from(dotted.split('.').map(Number)).readUInt32LE()
}

function toHelperMount(mount: Mount): HelperMount {
  const { readonly: ro, nosuid, nodev, noexec } = mountAttributes
  const place = { target: mount.target, isPinned: false }
  switch (mount.kind) {
    case 'bind': return { ...place, kind: 'bind', source: mount.source, attributes: mount.readonly ? ro : 0, hasContainerIds: mount.hasContainerIds ?? false }
    case 'tmpfs': return {
      ...place, kind: 'filesystem', type: 'tmpfs', attributes: nosuid | nodev | (mount.isExecutable === false ? noexec : 0) | (mount.readonly === true ? ro : 0),
      options: [['mode', (mount.mode ?? 0o1777).toString(8)], ...(mount.sizeBytes === undefined ? [] : [['size', String(mount.sizeBytes)] as const])],
    }
    case 'layers': return { ...place, kind: 'layers', rootfs: mount.rootfs, path: mount.path, attributes: mount.readonly ? ro : 0 }
    case 'file': {
      const isProgram = (mount.mode & 0o111) !== 0
      return { ...place, kind: 'file', content: mount.content, mode: mount.mode, uid: mount.uid, gid: mount.gid, attributes: ro | nosuid | nodev | (isProgram ? 0 : noexec) }
    }
  }
}

function writeMount(wire: WireWriter, mount: HelperMount, hasLowerdirAppend: boolean): void {
  wire.u8(mountKinds[mount.kind]).bytes(mount.target).flag(mount.isPinned).u32(mount.attributes).u32(propagations[mount.propagation ?? 'private'])
  switch (mount.kind) {
    case 'filesystem':
      wire.bytes(mount.type).flag(mount.isFilled ?? false)
      writePairs(wire, mount.options)
      wire.list(mount.folders ?? [], (folder) => wire.bytes(folder))
      writePairs(wire, mount.links ?? [])
      wire.list(mount.nodes ?? [], (node) => wire.bytes(node.name).u32(node.mode).u32(node.uid).u32(node.gid).u32(node.major).u32(node.minor))
      break
    case 'bind':
      wire.bytes(mount.source).bytes(mount.namespace ?? '').flag(mount.hasContainerIds ?? false)
      break
    case 'layers':
      writeRootfs(wire, mount.rootfs, { hasLowerdirAppend, isReadonly: false })
      wire.bytes(mount.path)
      break
    case 'file':
      wire.bytes(mount.content).u32(mount.mode).u32(mount.uid).u32(mount.gid)
      break
  }
}

function writePairs(wire: WireWriter, pairs: readonly Pair[]): void {
  wire.list(pairs, ([key, value]) => wire.bytes(key).bytes(value))
}

/** The request of the helper's mode `exec`. */
export function encodeExec({ pid, groups, spec, stdio, host, detached }: ExecParts): Uint8Array {
  const wire = new WireWriter()
  wire.u32(pid).list(groups, (group) => wire.bytes(group.folder).flag(group.isV2))
  writeProcess(wire, { spec, stdio, host })
  wire.flag(detached !== undefined)
  writeConsole(wire, detached)
  return wire.finish()
}

/** Who gets the master of a terminal that outlives the helper. */
export interface Console {
  /** Path of a listening socket; undefined without a terminal. */
  readonly socket?: string | undefined
  readonly rows?: number | undefined
  readonly columns?: number | undefined
}

export function writeConsole(wire: WireWriter, { socket = '', rows = 0, columns = 0 }: Console = {}): void {
  wire.bytes(socket).u32(rows).u32(columns)
}

interface ExecParts {
  /** Of a process of the container, as we see it. */
  readonly pid: number
  readonly groups: readonly { readonly folder: string; readonly isV2: boolean }[]
  readonly spec: Pick<ContainerSpec, 'process' | 'privilege'>
  readonly stdio: ContainerStdio['kind']
  readonly host: HostSupport
  /** For a process that outlives the helper. */
  readonly detached?: Console | undefined
}

function writeProcess(wire: WireWriter, { spec, stdio, host }: Pick<ExecParts, 'spec' | 'stdio' | 'host'>): void {
  const { process, privilege } = spec
  wire.list(process.args, (arg) => wire.bytes(arg)).list(process.env, (variable) => wire.bytes(variable)).bytes(process.cwd)
  wire.u32(process.user.uid).u32(process.user.gid).list(process.user.groups, (gid) => wire.u32(gid))
  wire.u32(process.umask ?? 0o022).u8(stdioKinds[stdio])
  wire.list(resourceLimits(host, process.ulimits ?? []), (limit) => wire.u32(limit.resource).u64(limit.soft).u64(limit.hard))
  wire.flag(process.oomScoreAdj !== undefined).u32((process.oomScoreAdj ?? 0) >>> 0)
  const { bounding, effective, permitted, inheritable, ambient } = capabilityMasks(privilege, { uid: process.user.uid, held: host.capabilities })
  const filter = seccompFilter(spec, { host, capabilities: bounding })
  for (const set of [bounding, effective, permitted, inheritable, ambient]) wire.u64(set)
  wire.flag(privilege.noNewPrivileges ?? false)
  wire.bytes(filter?.program ?? new Uint8Array()).u32(filter?.flags ?? 0).bytes(securityLabel(privilege, host))
}

function seccompFilter({ privilege, executor }: Pick<ContainerSpec, 'privilege' | 'executor'>, { host, capabilities }: { readonly host: HostSupport; readonly capabilities: bigint }): SeccompFilter | undefined {
  if (privilege.isPrivileged === true || privilege.seccomp?.kind === 'unconfined' || executor?.kind === 'chroot') return undefined
  const subject = { arch: process.arch, kernel: host.kernel, caps: listCapabilities(capabilities) }
  return privilege.seccomp === undefined ? compileDefaultProfile(subject) : compileProfile(parseProfile(privilege.seccomp.profile), subject)
}

/** In the order of their numbers, which begin at 1. */
const stages: readonly SetupStage[] = [
  'request', 'namespaces', 'layers', 'mount points', 'root filesystem', 'mount', 'masked path', 'kernel setting', 'network', 'host name',
  'terminal', 'cgroup', 'standard streams', 'process limits', 'working directory', 'capabilities', 'user', 'seccomp filter', 'init process', 'security label', 'id mapping',
]

export function nameStage(stage: number): SetupStage {
  const name = stages[stage - 1]
  if (name === undefined) throw new RangeError(`the helper reported stage ${stage}, which has no name`)
  return name
}

/** The unit that getrusage(2) counts transfers of disks in. */
const sectorBytes = 512

export function decodeReport({ kind, payload }: HelperReport): ContainerReport {
  const reader = new WireReader(payload)
  switch (kind) {
    case 1: return { kind: 'exited', status: reader.u32() }
    case 2: return { kind: 'not-executed', notExecuted: readNotExecuted(reader) }
    case 3: return { kind: 'ended', status: reader.u32(), cpuMs: Number(reader.u64()) / 1000, ioReadBytes: Number(reader.u64()) * sectorBytes, ioWriteBytes: Number(reader.u64()) * sectorBytes }
    case 4: return { kind: 'started', pid: reader.u32() }
    case 5: return { kind: 'created' }
    case 6: return { kind: 'namespaced' }
    default: throw new RangeError(`the helper reported kind ${kind}, which has no meaning`)
  }
}

function readNotExecuted(reader: WireReader): NotExecuted {
  const errno = reader.i32()
  const exists = reader.u8() === 1
  const file = reader.text()
  const errnoName = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`
  return { reason: nameReason(errnoName, exists), file, errnoName }
}

function nameReason(errnoName: string, exists: boolean): NotExecuted['reason'] {
  switch (errnoName) {
    case 'ENOENT': return exists ? 'interpreter-not-found' : 'not-found'
    case 'EACCES': case 'EPERM': case 'EISDIR': return 'not-executable'
    case 'ENOEXEC': return 'wrong-format'
    case 'E2BIG': return 'arguments-too-long'
    default: return 'refused'
  }
}
