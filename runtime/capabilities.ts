import type { CapabilitySets, Privilege } from './container-spec.ts'
import { InvalidSpec } from './errors.ts'

/** By number. @see linux/capability.h */
const names = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT',
  'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE',
  'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ',
  'PERFMON', 'BPF', 'CHECKPOINT_RESTORE',
] as const

/** What Docker leaves to root in a container. */
const defaults = toMask([
  'CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP', 'NET_BIND_SERVICE',
  'SYS_CHROOT', 'KILL', 'AUDIT_WRITE',
])

/** Each set as a mask, bit n for capability n. */
export interface CapabilityMasks {
  readonly bounding: bigint
  readonly effective: bigint
  readonly permitted: bigint
  readonly inheritable: bigint
  readonly ambient: bigint
}

interface CapabilityChange {
  readonly capAdd?: readonly string[]
  readonly capDrop?: readonly string[]
}

/**
 * The capability set of a container as a mask, bit n for capability n. `held` is what this process has: of the defaults
 * and of `ALL` the container gets what is held, one added by name has to be held. As with Docker, adding a capability
 * by name wins over dropping it, and adding `ALL` over dropping `ALL`.
 * @throws {InvalidSpec} an unknown name, or one that is not held
 */
export function selectCapabilities(change: CapabilityChange, held: bigint): bigint {
  const added = (change.capAdd ?? []).map((name, index) => parseName(name, `privilege.capAdd[${index}]`))
  const dropped = (change.capDrop ?? []).map((name, index) => parseName(name, `privilege.capDrop[${index}]`))
  added.forEach((name, index) => {
    if (name !== 'ALL' && (toMask([name]) & held) === 0n) throw new InvalidSpec(`privilege.capAdd[${index}]`, name, 'a capability that this process has itself')
  })
  if (added.includes('ALL')) return held & ~toMask(dropped)
  if (dropped.includes('ALL')) return toMask(added)
  return (defaults & held & ~toMask(dropped)) | toMask(added)
}

/**
 * The five sets of a container's first process. Where they are not given one by one, root has in effect what the bounding
 * set holds, and others have nothing.
 * @throws {InvalidSpec} an unknown name, or one that is not held
 */
export function capabilityMasks(privilege: CapabilityChange & Pick<Privilege, 'capabilitySets' | 'isPrivileged'>, { uid, held }: { readonly uid: number; readonly held: bigint }): CapabilityMasks {
  const sets = privilege.capabilitySets
  if (sets !== undefined) {
    const mask = (set: keyof CapabilitySets): bigint => maskOf(sets[set], { field: `process.capabilities.${set}`, held })
    return { bounding: mask('bounding'), effective: mask('effective'), permitted: mask('permitted'), inheritable: mask('inheritable'), ambient: mask('ambient') }
  }
  const bounding = privilege.isPrivileged === true ? held : selectCapabilities(privilege, held)
  const own = uid === 0 ? bounding : 0n
  return { bounding, effective: own, permitted: own, inheritable: 0n, ambient: 0n }
}

function maskOf(wanted: readonly string[], { field, held }: { readonly field: string; readonly held: bigint }): bigint {
  return wanted.reduce((mask, text) => {
    const name = parseName(text, field)
    const bit = toMask([name])
    if (bit === 0n || (bit & held) === 0n) throw new InvalidSpec(field, text, 'a capability that this process has itself')
    return mask | bit
  }, 0n)
}

/** The names of a mask, by number. */
export function listCapabilities(mask: bigint): string[] {
  return names.filter((_, bit) => (mask >> BigInt(bit) & 1n) === 1n)
}

function parseName(text: string, field: string): string {
  const name = text.toUpperCase().replace(/^CAP_/u, '')
  if (name !== 'ALL' && !names.some((known) => known === name)) throw new InvalidSpec(field, text, 'the name of a Linux capability, or ALL')
  return name
}

function toMask(wanted: readonly string[]): bigint {
  return wanted.reduce((mask, name) => {
    const bit = names.findIndex((known) => known === name)
    return bit < 0 ? mask : mask | 1n << BigInt(bit)
  }, 0n)
}
