import { listCapabilities, selectCapabilities } from '../capabilities.ts'
import { kernelSettings, maskedPaths, readonlyPaths } from '../container-defaults.ts'
import type { ContainerSpec, Isolation, Mount, NamespaceChoice } from '../container-spec.ts'
import { findDevices } from '../devices.ts'
import { InvalidSpec } from '../errors.ts'
import type { HostSupport } from '../host-support.ts'
import type { IdMaps } from '../rootless/id-maps.ts'
import { resourceLimits, resourceNames } from '../resource-limits.ts'
import { ociSeccomp } from './oci-seccomp.ts'

declare global {
  interface JSON {
    /** A number as it is written here, beyond what JavaScript's numbers hold. */
    rawJSON(text: string): unknown
  }
}

export interface OciParts {
  readonly spec: ContainerSpec
  readonly host: HostSupport
  /** Where the content of a file mount lies, by its index among the mounts. */
  readonly filePath: (index: number) => string
}

/**
 * A container as another runtime takes it. Limits are not in it: they hold by the groups that the runtime is started in.
 * @throws {InvalidSpec} what such a description cannot hold
 * @see runtime-spec config.md, config-linux.md
 */
export function ociConfig(parts: OciParts): object {
  const { spec, host } = parts
  const { isPrivileged = false, systemPaths, readonlyRootfs = false } = spec.privilege
  const isOpen = isPrivileged || systemPaths === 'unconfined'
  const { hostname, domainname, namespaces } = spec.isolation
  return {
    ociVersion: '1.0.2',
    root: { path: 'rootfs', readonly: readonlyRootfs },
    ...(namespaces?.uts === undefined ? { hostname, ...(domainname === undefined ? {} : { domainname }) } : {}),
    process: ociProcess(parts),
    mounts: [...defaultMounts(spec), ...spec.mounts.map((mount, index) => ociMount(mount, index, parts))],
    linux: {
      namespaces: ociNamespaces(spec.isolation),
      ...ociIdMappings(spec.isolation),
      maskedPaths: isOpen ? [] : maskedPaths(host),
      readonlyPaths: isOpen ? [] : readonlyPaths,
      sysctl: Object.fromEntries(kernelSettings(spec, host).map(([key, value]) => [key.replaceAll('/', '.'), value])),
      ...ociDevices(spec),
      ...filter(parts),
      rootfsPropagation: 'private',
    },
  }
}

/** Those left out are the host's. */
function ociNamespaces({ namespaces = {}, network, clockOffsets = {}, idMaps }: Isolation): object[] {
  if (network.mode === 'bridge' || network.mode === 'private') throw new InvalidSpec('isolation.network', network.mode, 'none or host with this runtime: use the built-in one for others')
  if (Object.keys(clockOffsets).length > 0) throw new InvalidSpec('isolation.clockOffsets', clockOffsets, 'no clocks of its own with this runtime: use the built-in one')
  const joined = network.mode === 'joined' ? { kind: 'joined', path: network.path } as const : undefined
  const choices: readonly (readonly [type: string, choice: NamespaceChoice | undefined])[] = [
    ['mount', undefined], ['pid', namespaces.pid], ['ipc', namespaces.ipc], ['uts', namespaces.uts], ['cgroup', namespaces.cgroup],
    ['network', network.mode === 'host' ? { kind: 'host' } : joined], ['user', idMaps === undefined ? { kind: 'host' } : undefined],
  ]
  return choices.flatMap(([type, choice]) => choice?.kind === 'host' ? [] : [{ type, ...(choice === undefined ? {} : { path: choice.path }) }])
}

function ociIdMappings({ idMaps }: Isolation): object {
  if (idMaps === undefined) return {}
  const write = (ranges: IdMaps['uids']): object[] => ranges.map(({ inside, outside, count }) => ({ containerID: inside, hostID: outside, size: count }))
  return { uidMappings: write(idMaps.uids), gidMappings: write(idMaps.gids) }
}

function ociProcess({ spec: { process, privilege }, host }: OciParts): object {
  const capabilities = capabilityNames(privilege, host).map((name) => `CAP_${name}`)
  const own = process.user.uid === 0 ? capabilities : []
  return {
    terminal: false,
    user: { uid: process.user.uid, gid: process.user.gid, umask: process.umask ?? 0o022, additionalGids: process.user.groups },
    args: process.args,
    env: process.env,
    cwd: process.cwd,
    capabilities: { bounding: capabilities, effective: own, permitted: own, inheritable: [], ambient: [] },
    rlimits: resourceLimits(host, process.ulimits ?? []).map(({ resource, soft, hard }) => ({ type: `RLIMIT_${(resourceNames[resource] ?? '').toUpperCase()}`, soft: toNumber(soft), hard: toNumber(hard) })),
    noNewPrivileges: privilege.noNewPrivileges ?? false,
    ...(process.oomScoreAdj === undefined ? {} : { oomScoreAdj: process.oomScoreAdj }),
    ...(privilege.apparmorProfile === undefined ? {} : { apparmorProfile: privilege.apparmorProfile }),
    ...(privilege.selinuxLabel === undefined ? {} : { selinuxLabel: privilege.selinuxLabel }),
  }
}

function capabilityNames(privilege: ContainerSpec['privilege'], host: HostSupport): string[] {
  return listCapabilities(privilege.isPrivileged === true ? host.capabilities : selectCapabilities(privilege, host.capabilities))
}

function toNumber(limit: bigint): unknown {
  return JSON.rawJSON(String(limit))
}

function defaultMounts(spec: ContainerSpec): object[] {
  const isPrivileged = spec.privilege.isPrivileged === true
  const shm = spec.isolation.shmSizeBytes ?? 64 * 1024 * 1024
  const system = ['nosuid', 'noexec', 'nodev', ...(isPrivileged ? [] : ['ro'])]
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: system },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: system },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${shm}`] },
  ]
}

function ociMount(mount: Mount, index: number, { filePath, spec: { isolation: { idMaps } } }: OciParts): object {
  const destination = mount.target
  switch (mount.kind) {
    case 'bind':
      if (mount.hasContainerIds === true && idMaps !== undefined) throw new InvalidSpec(`mounts[${index}]`, mount.target, 'no files under the container\'s ids with this runtime: use the built-in one')
      return { destination, type: 'bind', source: mount.source, options: ['rbind', 'rprivate', mount.readonly ? 'ro' : 'rw'] }
    case 'file': return { destination, type: 'bind', source: filePath(index), options: ['bind', 'ro', 'nosuid', 'nodev', ...((mount.mode & 0o111) === 0 ? ['noexec'] : [])] }
    case 'tmpfs': return {
      destination, type: 'tmpfs', source: 'tmpfs',
      options: ['nosuid', 'nodev', `mode=${(mount.mode ?? 0o1777).toString(8)}`, ...(mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`]), ...(mount.isExecutable === false ? ['noexec'] : []), ...(mount.readonly === true ? ['ro'] : [])],
    }
    case 'layers': throw new InvalidSpec(`mounts[${index}].kind`, mount.kind, 'no layers of another image with this runtime: use the built-in one')
  }
}

function ociDevices(spec: ContainerSpec): object {
  const found = findDevices(spec).nodes
  const rules = spec.privilege.isPrivileged === true ? [{ allow: true, access: 'rwm' }] : [{ allow: false, access: 'rwm' }, ...found.map(({ mode, major, minor, permissions }) => ({ allow: true, type: deviceType(mode), major, minor, access: permissions }))]
  return {
    devices: found.map(({ name, mode, major, minor, uid, gid }) => ({ path: `/dev/${name}`, type: deviceType(mode), major, minor, fileMode: mode & 0o777, uid, gid })),
    resources: { devices: rules },
  }
}

function deviceType(mode: number): 'b' | 'c' {
  return (mode & 0o170000) === 0o060000 ? 'b' : 'c'
}

function filter({ spec: { privilege }, host }: OciParts): object {
  if (privilege.isPrivileged === true || privilege.seccomp?.kind === 'unconfined') return {}
  const caps = capabilityNames(privilege, host)
  return { seccomp: ociSeccomp(privilege.seccomp?.profile, { arch: process.arch, kernel: host.kernel, caps }) }
}
