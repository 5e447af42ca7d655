import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findSystemProgram } from '../../core/find-program.ts'
import type { HostSupport } from '../host-support.ts'
import { isKernelAtLeast, probeHost } from '../host-support.ts'
import type { UserNetwork } from '../network/user-network.ts'
import { findUserNetwork } from '../network/user-network.ts'
import { currentOwner, planIds } from '../rootless/id-mapping.ts'
import { findSharedRanges, readSubordinateIds } from '../rootless/subordinate-ids.ts'
import { examineCgroups } from './examine-cgroups.ts'
import type { HostFinding } from './finding.ts'
import { broken, missing, offered } from './finding.ts'

/** What this host offers whoever calls, and what it lacks. Nothing is created or changed. */
export function examineHost(env: NodeJS.ProcessEnv): HostFinding[] {
  const host = probeHost()
  return [
    examineKernel(host), examineIdentity(host), examineOverlay(host), examineSeccomp(), examineSecurityModules(host),
    ...examineUserNamespaces(host, env), ...examineCgroups(host), ...examineNetwork(host, env), ...examineBinfmt(),
  ]
}

/** mount_setattr(2) is the youngest call that containers are made with. */
function examineKernel(host: HostSupport): HostFinding {
  const detail = `Linux ${host.kernel.release}`
  return isKernelAtLeast(host, 5, 12) ? offered('kernel', detail) : broken('kernel', `${detail} is too old`, 'install Linux 5.12 or newer')
}

function examineIdentity({ idMaps }: HostSupport): HostFinding {
  const { name, uid } = currentOwner()
  if (uid !== 0) return offered('identity', `user ${name ?? uid} (${uid}): containers run in a user namespace`)
  return offered('identity', idMaps === undefined ? 'root of the system' : `root of a user namespace with ${countIds(idMaps.uids)} ids`)
}

function countIds(ranges: readonly { readonly count: number }[]): number {
  return ranges.reduce((total, { count }) => total + count, 0)
}

function examineOverlay({ overlay }: HostSupport): HostFinding {
  return overlay.isOffered ? offered('overlay', 'layers are mounted') : missing('overlay', overlay.reason, 'load the module: modprobe overlay')
}

function examineSeccomp(): HostFinding {
  const file = '/proc/sys/kernel/seccomp/actions_avail'
  return existsSync(file)
    ? offered('seccomp', `filters of system calls: ${readFileSync(file, 'utf8').trim()}`)
    : missing('seccomp', 'the kernel has no filters of system calls', 'use a kernel with CONFIG_SECCOMP_FILTER, or --security-opt seccomp=unconfined')
}

function examineSecurityModules({ securityModules }: HostSupport): HostFinding {
  const found = securityModules.filter((name) => name === 'apparmor' || name === 'selinux')
  return found.length > 0
    ? offered('security-modules', found.join(', '))
    : missing('security-modules', 'neither AppArmor nor SELinux is active, so no profile or label can be asked for', 'boot a kernel with one of them (lsm=apparmor or lsm=selinux)')
}

const usualCount = 65_536

function examineUserNamespaces({ userNamespaces }: HostSupport, env: NodeJS.ProcessEnv): HostFinding[] {
  const isRoot = process.geteuid?.() === 0
  const state = isRoot ? missing : broken
  const namespaces = userNamespaces.isOffered ? offered('user-namespaces', 'can be made') : state('user-namespaces', userNamespaces.reason, 'set the sysctl to a higher value, or run as root')
  return isRoot ? [namespaces] : [namespaces, examineSubordinateIds(env)]
}

function examineSubordinateIds(env: NodeJS.ProcessEnv): HostFinding {
  const { name, uid } = currentOwner()
  const plan = planIds(env)
  const who = name ?? uid
  if (plan.kind === 'single') return missing('subordinate-ids', `${plan.reason}: only images with files of one owner can be used`, `let an administrator run: apt-get install uidmap && usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${who}`)
  const { uids, gids } = readSubordinateIds()
  const [shared] = findSharedRanges([...uids]).concat(findSharedRanges([...gids])).filter((pair) => pair.some(({ owner }) => owner === name || owner === String(uid)))
  if (shared !== undefined) return missing('subordinate-ids', `the ranges of ${shared[0].owner} and ${shared[1].owner} overlap, so each can change the other's files`, 'give every user a range of their own in /etc/subuid and /etc/subgid')
  const count = Math.min(countIds(plan.maps.uids), countIds(plan.maps.gids)) - 1
  if (count < usualCount) return missing('subordinate-ids', `${count} ids, and images use up to ${usualCount}`, `add more to /etc/subuid and /etc/subgid for ${who}`)
  return offered('subordinate-ids', `${count} ids through ${plan.programs.uid}`)
}

function examineNetwork({ idMaps }: HostSupport, env: NodeJS.ProcessEnv): HostFinding[] {
  const isRoot = process.geteuid?.() === 0 && idMaps === undefined
  const firewall = findSystemProgram('nft', env) ?? findSystemProgram('iptables', env)
  return isRoot
    ? [firewall === undefined ? missing('firewall', 'neither nft nor iptables is installed, so a bridge cannot reach out', 'apt-get install nftables') : offered('firewall', firewall)]
    : [examineUserNetwork(findUserNetwork(env))]
}

function examineUserNetwork(found: UserNetwork): HostFinding {
  if (found.kind !== 'missing') return offered('user-mode-network', found.path)
  const [reason = '', remedy = 'use --network host or none'] = found.reason.split('; ')
  return missing('user-mode-network', reason, remedy)
}

/** Which other machines' programs the kernel hands to an interpreter. */
function examineBinfmt(): HostFinding[] {
  const folder = '/proc/sys/fs/binfmt_misc'
  const remedy = 'install qemu-user-static and binfmt-support, or build on a machine of that kind'
  if (!existsSync(join(folder, 'status'))) return [missing('other-platforms', `${folder} is not mounted`, remedy)]
  const names = readdirSync(folder).filter((name) => name.startsWith('qemu-')).map((name) => name.slice('qemu-'.length))
  return [names.length === 0 ? missing('other-platforms', 'no interpreter for programs of other processors is registered', remedy) : offered('other-platforms', names.join(', '))]
}
