import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import type { CgroupHierarchy } from './cgroup/hierarchies.ts'
import { findHierarchies } from './cgroup/hierarchies.ts'
import type { CgroupController } from './errors.ts'
import type { IdMaps } from './rootless/id-maps.ts'
import { readOwnIdMaps } from './rootless/id-maps.ts'

/** What this host offers containers, each with the reason where it does not. */
export interface HostSupport {
  readonly kernel: { readonly release: string; readonly major: number; readonly minor: number }
  readonly overlay: Support
  readonly userNamespaces: Support
  /** Those of the user namespace this process is in; undefined in the system's own. */
  readonly idMaps: IdMaps | undefined
  readonly controllers: Readonly<Record<CgroupController, Support>>
  readonly hierarchies: readonly CgroupHierarchy[]
  /** What this process may do, bit n for capability n. */
  readonly capabilities: bigint
  /** By resource number, what this process may at most allow a container. @see setrlimit(2) */
  readonly hardLimits: readonly bigint[]
  /** The security modules that are active, `apparmor` and `selinux` among them. */
  readonly securityModules: readonly string[]
  /** Paths below /sys that show heat, which tells about neighbours; they differ by machine. */
  readonly thermalPaths: readonly string[]
}

export type Support = { readonly isOffered: true } | { readonly isOffered: false; readonly reason: string }

/** Looks at the host anew. Nothing is created or changed. */
export function probeHost(): HostSupport {
  const hierarchies = findHierarchies()
  return {
    kernel: parseRelease(release()),
    overlay: probeOverlay(),
    userNamespaces: probeUserNamespaces(),
    idMaps: readOwnIdMaps(),
    controllers: {
      memory: probeController('memory', hierarchies), pids: probeController('pids', hierarchies), cpu: probeController('cpu', hierarchies),
      cpuset: probeController('cpuset', hierarchies), io: probeController('io', hierarchies), hugetlb: probeController('hugetlb', hierarchies),
      devices: probeController('devices', hierarchies),
    },
    hierarchies,
    capabilities: parseCapabilities(readFileSync('/proc/self/status', 'utf8')),
    hardLimits: parseHardLimits(readFileSync('/proc/self/limits', 'utf8')),
    securityModules: findSecurityModules(),
    thermalPaths: findThermalPaths(),
  }
}

let probed: HostSupport | undefined

/** The host as it was when first asked: one process uses one answer. */
export function getHost(): HostSupport {
  probed ??= probeHost()
  return probed
}

/** RLIM_INFINITY. */
export const unlimited: bigint = 2n ** 64n - 1n

export function isKernelAtLeast(host: HostSupport, major: number, minor: number): boolean {
  return host.kernel.major > major || (host.kernel.major === major && host.kernel.minor >= minor)
}

function parseRelease(text: string): HostSupport['kernel'] {
  const [, major, minor] = /^(\d+)\.(\d+)/u.exec(text) ?? []
  return { release: text, major: Number(major), minor: Number(minor) }
}

function probeOverlay(): Support {
  if (/^nodev\toverlay$/mu.test(readFileSync('/proc/filesystems', 'utf8'))) return { isOffered: true }
  const modules = `/lib/modules/${release()}/modules.dep`
  if (existsSync(modules) && /\/overlay\.ko/u.test(readFileSync(modules, 'utf8'))) return { isOffered: true }
  return { isOffered: false, reason: `neither /proc/filesystems nor ${modules} has overlay` }
}

function probeUserNamespaces(): Support {
  if (!existsSync('/proc/self/ns/user')) return { isOffered: false, reason: 'the kernel is built without user namespaces' }
  if (readFileSync('/proc/sys/user/max_user_namespaces', 'utf8').trim() === '0') return { isOffered: false, reason: 'sysctl user.max_user_namespaces is 0' }
  const switchFile = '/proc/sys/kernel/unprivileged_userns_clone'
  if (process.getuid?.() !== 0 && existsSync(switchFile) && readFileSync(switchFile, 'utf8').trim() === '0') return { isOffered: false, reason: 'sysctl kernel.unprivileged_userns_clone is 0' }
  return { isOffered: true }
}

function probeController(controller: CgroupController, hierarchies: readonly CgroupHierarchy[]): Support {
  const names = controller === 'io' ? ['io', 'blkio'] : [controller]
  if (hierarchies.some(({ kind, controllers }) => (controller === 'devices' && kind === 'v2') || names.some((name) => controllers.includes(name)))) return { isOffered: true }
  if (hierarchies.length === 0) return { isOffered: false, reason: 'no cgroup hierarchy is mounted' }
  return { isOffered: false, reason: `no mounted cgroup hierarchy has the ${controller} controller` }
}

function parseCapabilities(status: string): bigint {
  return BigInt(`0x${/^CapPrm:\t([0-9a-f]+)$/mu.exec(status)?.[1] ?? '0'}`)
}

/** The lines are in the order of the resources' numbers. */
function parseHardLimits(text: string): bigint[] {
  return text.trimEnd().split('\n').slice(1).map((line) => {
    const [, hard = ''] = line.slice(26).trim().split(/\s+/u)
    return hard === 'unlimited' ? unlimited : BigInt(hard)
  })
}

/** securityfs need not be mounted; then each module is asked for where it shows itself. */
function findSecurityModules(): string[] {
  const list = '/sys/kernel/security/lsm'
  if (existsSync(list)) return readFileSync(list, 'utf8').trim().split(',')
  const apparmor = '/sys/module/apparmor/parameters/enabled'
  return [
    ...(existsSync(apparmor) && readFileSync(apparmor, 'utf8').startsWith('Y') ? ['apparmor'] : []),
    ...(existsSync('/sys/fs/selinux/enforce') ? ['selinux'] : []),
  ]
}

function findThermalPaths(): string[] {
  const folder = '/sys/devices/system/cpu'
  if (!existsSync(folder)) return []
  return readdirSync(folder).filter((name) => /^cpu\d+$/u.test(name)).map((name) => join(folder, name, 'thermal_throttle')).filter((path) => existsSync(path))
}
