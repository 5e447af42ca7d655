import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { isErrno } from '../../core/errors.ts'
import { findSystemProgram } from '../../core/find-program.ts'
import { UserNamespaceUnavailable } from '../errors.ts'
import type { IdMaps, IdRange } from './id-maps.ts'
import { formatIdMap } from './id-maps.ts'
import type { Owner } from './subordinate-ids.ts'
import { planIdMaps, readSubordinateIds } from './subordinate-ids.ts'

/** How the ids of a plain user's namespace can be mapped on this host. */
export type IdPlan =
  | { readonly kind: 'ranges'; readonly maps: IdMaps; readonly programs: { readonly uid: string; readonly gid: string } }
  /** Only the user's own id, as root: files of anybody else can neither be unpacked nor made. */
  | { readonly kind: 'single'; readonly maps: IdMaps; readonly reason: string }

export function planIds(env: NodeJS.ProcessEnv): IdPlan {
  const owner = currentOwner()
  const planned = planIdMaps(owner, readSubordinateIds())
  const single = { uids: [{ inside: 0, outside: owner.uid, count: 1 }], gids: [{ inside: 0, outside: owner.gid, count: 1 }] }
  if ('reason' in planned) return { kind: 'single', maps: single, reason: planned.reason }
  const uid = findSystemProgram('newuidmap', env)
  const gid = findSystemProgram('newgidmap', env)
  if (uid === undefined || gid === undefined) return { kind: 'single', maps: single, reason: `${uid === undefined ? 'newuidmap' : 'newgidmap'} is not installed` }
  return { kind: 'ranges', maps: planned, programs: { uid, gid } }
}

/** @throws {UserNamespaceUnavailable} */
export function writeIdMaps(pid: number, plan: IdPlan): void {
  if (plan.kind === 'ranges') {
    runMapper(plan.programs.uid, pid, plan.maps.uids)
    runMapper(plan.programs.gid, pid, plan.maps.gids)
    return
  }
  try {
    // Without this the kernel lets nobody without privilege map a group: leaving groups could open what they are kept from.
    writeFileSync(`/proc/${pid}/setgroups`, 'deny')
    writeFileSync(`/proc/${pid}/gid_map`, formatIdMap(plan.maps.gids))
    writeFileSync(`/proc/${pid}/uid_map`, formatIdMap(plan.maps.uids))
  } catch (error) {
    if (isErrno(error, 'EPERM', 'EACCES', 'EINVAL')) throw new UserNamespaceUnavailable(`the kernel refuses to map ids with ${error.code}`, 'let an administrator install uidmap and add the user to /etc/subuid and /etc/subgid', { cause: error })
    throw error
  }
}

export function currentOwner(): Owner {
  const uid = process.geteuid?.() ?? 0
  const gid = process.getegid?.() ?? 0
  return { name: findUserName(uid), uid, gid }
}

function findUserName(uid: number): string | undefined {
  try {
    const info = userInfo()
    return info.uid === uid ? info.username : undefined
  } catch (error) {
    if (isErrno(error, 'ERR_SYSTEM_ERROR', 'ENOENT')) return undefined
    throw error
  }
}

function runMapper(program: string, pid: number, ranges: readonly IdRange[]): void {
  const { status, stderr, error } = spawnSync(program, [String(pid), ...ranges.flatMap(({ inside, outside, count }) => [inside, outside, count].map(String))], { encoding: 'utf8', env: {} })
  if (error !== undefined) throw error
  if (status !== 0) throw new UserNamespaceUnavailable(`${program} failed: ${stderr.trim()}`, 'check that it is setuid root, or has the capability of its file where capabilities are dropped, and that /etc/subuid and /etc/subgid agree with it')
}
