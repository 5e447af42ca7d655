import type { ContainerSpec, Device, Isolation, Limits, Mount, Network, ProcessSpec, Rootfs, Ulimit } from './container-spec.ts'
import { InvalidSpec } from './errors.ts'
import type { IdMaps, IdRange } from './rootless/id-maps.ts'
import { isMapped } from './rootless/id-maps.ts'
import { resourceNames, resourceNumber } from './resource-limits.ts'

/** @throws {InvalidSpec} */
export function validateSpec(spec: ContainerSpec): void {
  if (!/^[a-z0-9-]{1,64}$/u.test(spec.id)) throw new InvalidSpec('id', spec.id, '1 to 64 of a-z, 0-9 and -')
  validateRootfs(spec.rootfs, 'rootfs')
  if (spec.rootfs.kind === 'overlay' && spec.rootfs.program !== undefined) validateServed(spec)
  // It makes mount points in the tree as it likes, and tells nobody when its process starts.
  if (spec.rootfs.kind === 'directory' && spec.rootfs.start !== undefined && spec.executor?.kind === 'oci') throw new InvalidSpec('rootfs.start', spec.rootfs.start, 'a root filesystem of layers, with another runtime')
  validateProcess(spec.process)
  const { hostname, domainname, shmSizeBytes } = spec.isolation
  validateNamespaces(spec.isolation)
  if (spec.isolation.network.mode === 'private' && spec.executor !== undefined && spec.executor.kind !== 'helper') throw new InvalidSpec('executor', spec.executor.kind, 'our own helper, with a private network')
  requireText('isolation.hostname', hostname, 64)
  if (domainname !== undefined) requireText('isolation.domainname', domainname, 64)
  if (shmSizeBytes !== undefined) requireInteger('isolation.shmSizeBytes', shmSizeBytes, 1)
  spec.mounts.forEach((mount, index) => validateMount(mount, `mounts[${index}]`))
  validateLimits(spec.limits)
  validatePrivilege(spec)
  if (spec.isolation.idMaps !== undefined) validateIdMaps(spec, spec.isolation.idMaps)
}

function validateRootfs(rootfs: Rootfs, field: string): void {
  if (rootfs.kind === 'directory') {
    requirePath(`${field}.path`, rootfs.path)
    if (rootfs.start !== undefined) requirePath(`${field}.start`, rootfs.start)
    return
  }
  rootfs.lowers.forEach((lower, index) => {
    requirePath(`${field}.lowers[${index}].path`, lower.path)
    if (lower.kind === 'erofs') requirePath(`${field}.lowers[${index}].tar`, lower.tar)
  })
  if (rootfs.program !== undefined) requirePath(`${field}.program`, rootfs.program)
  if (rootfs.upper === undefined) return
  requirePath(`${field}.upper.upperdir`, rootfs.upper.upperdir)
  requirePath(`${field}.upper.workdir`, rootfs.upper.workdir)
}

/** With a root filesystem that fuse-overlayfs serves. */
function validateServed({ executor, isolation }: ContainerSpec): void {
  if (executor?.kind === 'oci') throw new InvalidSpec('executor', executor.runtime, 'our own helper, which alone starts fuse-overlayfs for a container')
  if (isolation.idMaps !== undefined) throw new InvalidSpec('isolation.idMaps', isolation.idMaps, 'nothing: files that fuse-overlayfs serves cannot be shown with other ids')
}

function validateProcess(process: ProcessSpec): void {
  if (process.args.length === 0) throw new InvalidSpec('process.args', process.args, 'at least a command')
  process.args.forEach((arg, index) => requireText(`process.args[${index}]`, arg))
  process.env.forEach((variable, index) => {
    requireText(`process.env[${index}]`, variable)
    if (variable.indexOf('=') < 1) throw new InvalidSpec(`process.env[${index}]`, variable, 'NAME=value')
  })
  requirePath('process.cwd', process.cwd)
  requireId('process.user.uid', process.user.uid)
  requireId('process.user.gid', process.user.gid)
  process.user.groups.forEach((gid, index) => requireId(`process.user.groups[${index}]`, gid))
  if (process.user.groups.length > 65_536) throw new InvalidSpec('process.user.groups', `${process.user.groups.length} groups`, 'at most 65536')
  if (process.umask !== undefined) requireInteger('process.umask', process.umask, 0, 0o777)
  if (process.oomScoreAdj !== undefined) requireInteger('process.oomScoreAdj', process.oomScoreAdj, -1000, 1000)
  process.ulimits?.forEach((ulimit, index) => validateUlimit(ulimit, `process.ulimits[${index}]`))
}

function validateNamespaces({ namespaces = {}, clockOffsets = {}, network, shmSizeBytes }: Isolation): void {
  for (const name of ['pid', 'ipc', 'uts'] as const) {
    const choice = namespaces[name]
    if (choice?.kind === 'joined') requirePath(`isolation.namespaces.${name}.path`, choice.path)
  }
  if (namespaces.cgroup?.kind === 'joined') throw new InvalidSpec('isolation.namespaces.cgroup', 'joined', 'one of its own, or the host\'s')
  if (namespaces.ipc !== undefined && shmSizeBytes !== undefined) throw new InvalidSpec('isolation.shmSizeBytes', shmSizeBytes, 'an IPC namespace of the container\'s own')
  if (network.mode === 'joined') requirePath('isolation.network.path', network.path)
  if ('namespace' in network) requirePath('isolation.network.namespace.path', network.namespace.path)
  for (const clock of ['monotonic', 'boottime'] as const) requireInteger(`isolation.clockOffsets.${clock}`, Math.floor(clockOffsets[clock] ?? 0), -(2 ** 31), 2 ** 31)
}

/** Whether its namespace is there before the container. */
function isOutside(network: Network): boolean {
  return network.mode === 'host' || network.mode === 'joined' || 'namespace' in network
}

/** What belongs to the host's user namespace would be out of reach, or would not be held back by one of the container's own. */
function validateIdMaps({ executor, privilege, isolation: { network, namespaces = {} }, process: { user }, mounts }: ContainerSpec, { uids, gids }: IdMaps): void {
  const wanted = 'nothing of the host\'s with a user namespace of the container\'s own'
  if (executor?.kind === 'chroot') throw new InvalidSpec('executor', executor.kind, 'namespaces, one of users among them')
  if (privilege.isPrivileged === true) throw new InvalidSpec('privilege.isPrivileged', true, wanted)
  if (isOutside(network)) throw new InvalidSpec('isolation.network', network.mode, executor?.kind === 'oci' ? 'none: all that another runtime has with a user namespace of the container\'s own' : wanted)
  for (const name of ['pid', 'ipc', 'uts'] as const) if (namespaces[name] !== undefined) throw new InvalidSpec(`isolation.namespaces.${name}`, namespaces[name].kind, wanted)
  requireMapped('process.user.uid', user.uid, uids)
  requireMapped('process.user.gid', user.gid, gids)
  for (const gid of user.groups) requireMapped('process.user.groups', gid, gids)
  for (const mount of mounts) {
    if (mount.kind !== 'file') continue
    requireMapped('mounts.uid', mount.uid, uids)
    requireMapped('mounts.gid', mount.gid, gids)
  }
}

function requireMapped(field: string, id: number, ranges: readonly IdRange[]): void {
  if (!isMapped(ranges, id)) throw new InvalidSpec(field, id, `an id that the container's user namespace has: ${ranges.map(({ inside, count }) => `${inside}-${inside + count - 1}`).join(', ')}`)
}

function validateUlimit({ name, soft, hard }: Ulimit, field: string): void {
  if (resourceNumber(name) === undefined) throw new InvalidSpec(`${field}.name`, name, resourceNames.join(', '))
  requireInteger(`${field}.soft`, soft, -1)
  requireInteger(`${field}.hard`, hard, -1)
  if (hard !== -1 && (soft === -1 || soft > hard)) throw new InvalidSpec(`${field}.soft`, soft, `at most the hard limit, ${hard}`)
}

function validatePrivilege({ privilege, devices = [], isolation }: ContainerSpec): void {
  const { isPrivileged = false, seccomp, capDrop = [], apparmorProfile, selinuxLabel } = privilege
  if (isPrivileged && capDrop.length > 0) throw new InvalidSpec('privilege.capDrop', capDrop, 'nothing, since a privileged container has all capabilities')
  if (isPrivileged && seccomp?.kind === 'profile') throw new InvalidSpec('privilege.seccomp', 'a profile', 'nothing, since a privileged container has no filter')
  if (apparmorProfile !== undefined && selinuxLabel !== undefined) throw new InvalidSpec('privilege.selinuxLabel', selinuxLabel, 'no AppArmor profile beside it')
  devices.forEach((device, index) => validateDevice(device, `devices[${index}]`))
  for (const [name, value] of Object.entries(isolation.sysctls ?? {})) validateSysctl(name, value, isolation.network.mode !== 'host' && isolation.network.mode !== 'joined')
}

function validateDevice({ source, target, permissions }: Device, field: string): void {
  requirePath(`${field}.source`, source)
  requirePath(`${field}.target`, target)
  if (!/^\/dev(?:\/(?!\.\.?(?:\/|$))[^/]+)+$/u.test(target)) throw new InvalidSpec(`${field}.target`, target, 'a path below /dev')
  if (!/^(?!.*(.).*\1)[rwm]{1,3}$/u.test(permissions)) throw new InvalidSpec(`${field}.permissions`, permissions, 'some of r, w and m')
}

const ipcSysctls = /^kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)$|^fs\.mqueue\./u

/** Only what a namespace of the container's own holds: anything else would change the host. */
function validateSysctl(name: string, value: string, hasOwnNetwork: boolean): void {
  const field = `isolation.sysctls[${name}]`
  if (!/^[\w-]+(?:[./][\w-]+)+$/u.test(name)) throw new InvalidSpec(field, name, 'the name of a kernel setting')
  if (/[\0\n]/u.test(value)) throw new InvalidSpec(field, value, 'one line')
  const isOwn = ipcSysctls.test(name) || (hasOwnNetwork && name.startsWith('net.'))
  if (!isOwn) throw new InvalidSpec(field, name, name.startsWith('net.') ? 'a network of the container\'s own for settings of net.*' : 'a setting that belongs to a namespace: net.*, fs.mqueue.*, kernel.shm*, kernel.msg*, kernel.sem')
}

function validateMount(mount: Mount, field: string): void {
  requirePath(`${field}.target`, mount.target)
  const target = `/${mount.target.split('/').filter((part) => part !== '' && part !== '.').join('/')}`
  if (target === '/' || target === '/dev' || /^\/(?:proc|sys)(?:\/|$)/u.test(target)) throw new InvalidSpec(`${field}.target`, mount.target, 'neither / nor /dev, nor anything in /proc or /sys')
  switch (mount.kind) {
    case 'bind':
      requirePath(`${field}.source`, mount.source)
      break
    case 'tmpfs':
      if (mount.sizeBytes !== undefined) requireInteger(`${field}.sizeBytes`, mount.sizeBytes, 1)
      if (mount.mode !== undefined) requireInteger(`${field}.mode`, mount.mode, 0, 0o7777)
      break
    case 'layers':
      validateRootfs(mount.rootfs, `${field}.rootfs`)
      requireText(`${field}.path`, mount.path, 4095)
      break
    case 'file':
      requireInteger(`${field}.mode`, mount.mode, 0, 0o7777)
      requireId(`${field}.uid`, mount.uid)
      requireId(`${field}.gid`, mount.gid)
      break
  }
}

/** Docker's: with less, starting a process already fails here and there. */
const leastMemoryBytes = 6 * 1024 * 1024

function validateLimits(limits: Limits): void {
  const { memoryBytes, cpus, timeoutMs, pids } = limits
  if (memoryBytes !== undefined) requireInteger('limits.memoryBytes', memoryBytes, leastMemoryBytes)
  validateSwap(limits)
  if (cpus !== undefined && !(cpus >= 0.01 && Number.isFinite(cpus))) throw new InvalidSpec('limits.cpus', cpus, 'at least 0.01')
  if (pids !== undefined && pids !== -1) requireInteger('limits.pids', pids, 1)
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= 2 ** 31 - 1)) throw new InvalidSpec('limits.timeoutMs', timeoutMs, 'more than 0 and at most 24 days')
  validateShares(limits)
}

function validateSwap({ memoryBytes, memorySwapBytes, memoryReservationBytes, memorySwappiness }: Limits): void {
  if (memorySwapBytes !== undefined && memoryBytes === undefined) throw new InvalidSpec('limits.memorySwapBytes', memorySwapBytes, 'limits.memoryBytes beside it')
  if (memorySwapBytes !== undefined && memorySwapBytes !== -1 && !(memorySwapBytes >= (memoryBytes ?? 0))) throw new InvalidSpec('limits.memorySwapBytes', memorySwapBytes, '-1, or at least limits.memoryBytes')
  if (memoryReservationBytes !== undefined) requireInteger('limits.memoryReservationBytes', memoryReservationBytes, leastMemoryBytes, memoryBytes)
  if (memorySwappiness !== undefined) requireInteger('limits.memorySwappiness', memorySwappiness, 0, 100)
}

const cpuList = /^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/u

function validateShares({ cpuShares, cpusetCpus, cpusetMems, blkioWeight, deviceRates = [], hugetlbBytes = {} }: Limits): void {
  if (cpuShares !== undefined) requireInteger('limits.cpuShares', cpuShares, 2, 262_144)
  if (cpusetCpus !== undefined && !cpuList.test(cpusetCpus)) throw new InvalidSpec('limits.cpusetCpus', cpusetCpus, 'a list such as 0-2,7')
  if (cpusetMems !== undefined && !cpuList.test(cpusetMems)) throw new InvalidSpec('limits.cpusetMems', cpusetMems, 'a list such as 0-2,7')
  if (blkioWeight !== undefined) requireInteger('limits.blkioWeight', blkioWeight, 10, 1000)
  deviceRates.forEach(({ device, perSecond }, index) => {
    if (!/^\d+:\d+$/u.test(device)) requirePath(`limits.deviceRates[${index}].device`, device)
    requireInteger(`limits.deviceRates[${index}].perSecond`, perSecond, 1)
  })
  for (const [size, bytes] of Object.entries(hugetlbBytes)) {
    if (!/^\d+[KMG]B$/u.test(size)) throw new InvalidSpec('limits.hugetlbBytes', size, 'a page size such as 2MB')
    requireInteger(`limits.hugetlbBytes.${size}`, bytes, 0)
  }
}

function requireText(field: string, value: string, maxBytes = Number.POSITIVE_INFINITY): void {
  if (value.includes('\0')) throw new InvalidSpec(field, value, 'a text without NUL')
  if (Buffer.byteLength(value) > maxBytes) throw new InvalidSpec(field, value, `at most ${maxBytes} bytes`)
}

function requirePath(field: string, value: string): void {
  requireText(field, value, 4095)
  if (!value.startsWith('/')) throw new InvalidSpec(field, value, 'an absolute path')
}

/** 2^32 - 1 is "unchanged" to the kernel. */
function requireId(field: string, value: number): void {
  requireInteger(field, value, 0, 2 ** 32 - 2)
}

// eslint-disable-next-line max-params
function requireInteger(field: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) throw new InvalidSpec(field, value, `a whole number from ${least} to ${most}`)
}
