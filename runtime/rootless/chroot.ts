import type { ContainerSpec, Limits } from '../container-spec.ts'
import type { ContainerStdio } from '../container-stdio.ts'
import { InvalidSpec } from '../errors.ts'
import { getHost } from '../host-support.ts'

/** CAP_SYS_ADMIN, which namespaces and mounts take. */
const systemAdministration = 1n << 21n

/** Root that may make no namespaces, as in a container of default confinement. A plain user gets them another way. */
export function needsChroot(): boolean {
  return process.geteuid?.() === 0 && (getHost().capabilities & systemAdministration) === 0n
}

const makeDevices = 1n << 27n
const always = 'processes, network, host names and System V objects are those around it; there is no /proc or /sys, no limit but time, and no filter of system calls'

/** For people. */
export function chrootShortcomings(): string {
  const hasNoDevices = (getHost().capabilities & makeDevices) === 0n
  return hasNoDevices ? `${always}; without CAP_MKNOD there are no devices: /dev/null is a plain file` : always
}

/**
 * What would be left undone in silence there is refused.
 * @throws {InvalidSpec}
 */
export function validateForChroot(spec: ContainerSpec, stdio: ContainerStdio): void {
  const remedy = 'nothing of the kind with isolation chroot'
  if (spec.rootfs.kind === 'directory') throw new InvalidSpec('rootfs.kind', 'directory', 'layers, with isolation chroot')
  if (stdio.kind === 'terminal') throw new InvalidSpec('stdio', 'terminal', remedy)
  if (spec.isolation.network.mode !== 'host') throw new InvalidSpec('isolation.network', spec.isolation.network.mode, 'host, with isolation chroot')
  for (const field of ['namespaces', 'clockOffsets', 'sysctls', 'shmSizeBytes', 'domainname'] as const) if (isGiven(spec.isolation[field])) throw new InvalidSpec(`isolation.${field}`, spec.isolation[field], remedy)
  spec.mounts.forEach((mount, index) => { if (mount.kind !== 'file') throw new InvalidSpec(`mounts[${index}].kind`, mount.kind, 'files only, with isolation chroot') })
  const limit = Object.entries(spec.limits).find(([name, value]) => name !== ('timeoutMs' satisfies keyof Limits) && value !== undefined)
  if (limit !== undefined) throw new InvalidSpec(`limits.${limit[0]}`, limit[1], remedy)
  if ((spec.devices ?? []).length > 0) throw new InvalidSpec('devices', spec.devices, remedy)
  const { privilege } = spec
  for (const field of ['readonlyRootfs', 'isPrivileged', 'apparmorProfile', 'selinuxLabel', 'systemPaths'] as const) if (privilege[field] !== undefined && privilege[field] !== false) throw new InvalidSpec(`privilege.${field}`, privilege[field], remedy)
  if (privilege.seccomp?.kind === 'profile') throw new InvalidSpec('privilege.seccomp', 'profile', remedy)
  if (spec.process.oomScoreAdj !== undefined) throw new InvalidSpec('process.oomScoreAdj', spec.process.oomScoreAdj, remedy)
}

function isGiven(value: unknown): boolean {
  return value !== undefined && (typeof value !== 'object' || value === null || Object.values(value).some((each) => each !== undefined))
}
