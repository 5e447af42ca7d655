import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { isErrno } from '../core/errors.ts'
import type { CgroupController } from './errors.ts'
import type { HostSupport, Support } from './host-support.ts'
import { probeHost } from './host-support.ts'
import { planIds } from './rootless/id-mapping.ts'
import type { IdPlan } from './rootless/id-mapping.ts'
import { findSharedRanges, readSubordinateIds } from './rootless/subordinate-ids.ts'
import { nativeMachine } from './seccomp/machine.ts'

/** One thing that builds and containers need or can use. */
export interface Finding {
  readonly what: string
  /** `blocking`: no build can run; `lacking`: something cannot be had. */
  readonly state: 'ok' | 'lacking' | 'blocking'
  readonly detail: string
  readonly remedy: string | undefined
}

export interface HostFacts {
  readonly host: HostSupport
  readonly isRoot: boolean
  /** Of a plain user. */
  readonly ids: IdPlan | undefined
  /** Lines of /etc/subuid and /etc/subgid that give the same ids to two users. */
  readonly sharedRanges: readonly string[]
  readonly root: { readonly path: string; readonly problem: string | undefined }
  readonly arch: string
}

/** Looks at the host; nothing is created or changed. */
export function diagnoseHost(root: string, env: NodeJS.ProcessEnv): Finding[] {
  const isRoot = process.geteuid?.() === 0
  const { uids, gids } = readSubordinateIds()
  const shared = [...findSharedRanges(uids), ...findSharedRanges(gids)].map(([one, other]) => `${one.owner} and ${other.owner}`)
  return judgeHost({ host: probeHost(), isRoot, ids: isRoot ? undefined : planIds(env), sharedRanges: [...new Set(shared)], root: { path: root, problem: findRootProblem(root) }, arch: process.arch })
}

const sysAdmin = 1n << 21n
const netAdmin = 1n << 12n

export function judgeHost(facts: HostFacts): Finding[] {
  const { host, isRoot, arch } = facts
  const held = (capability: bigint): boolean => (host.capabilities & capability) !== 0n
  return [
    ok('kernel', host.kernel.release),
    judge('overlay filesystem', host.overlay, { state: 'blocking', remedy: 'load the module: modprobe overlay' }),
    isRoot
      ? make('namespaces', held(sysAdmin), { detail: 'as root', lacking: 'root without CAP_SYS_ADMIN', state: 'blocking', remedy: 'run tsbuild as a plain user, or give it CAP_SYS_ADMIN' })
      : judge('user namespaces', host.userNamespaces, { state: 'blocking', remedy: 'let an administrator set sysctl kernel.unprivileged_userns_clone=1 and user.max_user_namespaces above 0' }),
    ...(facts.ids === undefined ? [] : [judgeIds(facts.ids)]),
    ...facts.sharedRanges.map((pair): Finding => ({ what: 'subordinate ids', state: 'lacking', detail: `${pair} share some in /etc/subuid or /etc/subgid`, remedy: 'give each user ranges of their own' })),
    make('state directory', facts.root.problem === undefined, { detail: facts.root.path, lacking: facts.root.problem ?? '', state: 'blocking', remedy: 'set TSBUILD_ROOT to a directory that can be written' }),
    make('system call filter', nativeMachine(arch) !== undefined, { detail: arch, lacking: `the calls of ${arch} are not known`, state: 'blocking', remedy: 'use --security-opt seccomp=unconfined' }),
    make('bridge network', isRoot && host.idMaps === undefined && held(netAdmin), { detail: 'tsbuild0', lacking: isRoot ? 'no CAP_NET_ADMIN' : 'a plain user cannot change the host\'s network', state: 'lacking', remedy: 'containers use the host\'s network; --network none cuts them off' }),
    ...controllers.map((controller) => judge(`cgroup ${controller}`, host.controllers[controller], { state: 'lacking', remedy: `limits that need it are refused; enable it: cgroup_enable=${controller} on the kernel's command line, or delegation by systemd (Delegate=yes)` })),
    ok('security modules', host.securityModules.length === 0 ? 'neither AppArmor nor SELinux: their labels are refused' : host.securityModules.join(', ')),
  ]
}

const controllers: readonly CgroupController[] = ['memory', 'pids', 'cpu', 'cpuset', 'io', 'hugetlb', 'devices']

function judgeIds(plan: IdPlan): Finding {
  const what = 'subordinate ids'
  if (plan.kind === 'single') return { what, state: 'lacking', detail: plan.reason, remedy: 'only images whose files belong to root alone can be used; let an administrator install uidmap and run usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER' }
  const count = plan.maps.uids.reduce((sum, range) => sum + range.count, 0)
  return ok(what, `${count} user ids by ${plan.programs.uid}`)
}

interface Judgement {
  readonly state: 'lacking' | 'blocking'
  readonly remedy: string
}

function judge(what: string, support: Support, judgement: Judgement): Finding {
  return make(what, support.isOffered, { detail: '', lacking: support.isOffered ? '' : support.reason, ...judgement })
}

function make(what: string, isGood: boolean, { detail, lacking, state, remedy }: Judgement & { readonly detail: string; readonly lacking: string }): Finding {
  return isGood ? ok(what, detail) : { what, state, detail: lacking, remedy }
}

function ok(what: string, detail: string): Finding {
  return { what, state: 'ok', detail, remedy: undefined }
}

/** The directory need not be there yet, but then its nearest parent that is must let us make it. */
function findRootProblem(root: string): string | undefined {
  let folder = root
  while (!existsSync(folder) && folder !== '/') folder = dirname(folder)
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EROFS', 'EPERM')) return `"${folder}" cannot be written: ${error.code}`
    throw error
  }
}
