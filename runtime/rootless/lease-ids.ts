import { randomInt } from 'node:crypto'
import { closeSync, constants, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { getAddon } from '../../native/index.ts'
import { UserNamespaceUnavailable } from '../errors.ts'
import { getHost } from '../host-support.ts'
import type { IdMaps, IdRange } from './id-maps.ts'
import type { SubordinateRange } from './subordinate-ids.ts'
import { readSubordinateIds } from './subordinate-ids.ts'

/** Whose user ids a container of root's has. */
export type UserNamespaceChoice =
  /** Ours: root inside is root outside. */
  | { readonly kind: 'host' }
  /** All that /etc/subuid and /etc/subgid lend to a user, the same for every container: Docker's userns-remap. */
  | { readonly kind: 'remap'; readonly user: string }
  /** A part of what they lend to a user that no other running container has. */
  | { readonly kind: 'auto'; readonly user: string; readonly size: number }

/** Ids that nobody else gets until they are given back or this process ends. */
export interface IdLease extends Disposable {
  /** undefined: ours. */
  readonly idMaps: IdMaps | undefined
}

const stateFolder = '/run/tsbuild'
/** Byte n locked means user id n is in use, and group ids follow behind all of those. The kernel unlocks when the owner dies. */
const idFile = join(stateFolder, 'ids')
const firstGroupByte = 2 ** 33

/** @throws {UserNamespaceUnavailable} */
export function leaseIds(choice: UserNamespaceChoice): IdLease {
  if (choice.kind === 'host') return { idMaps: undefined, [Symbol.dispose]: () => undefined }
  if (getHost().idMaps !== undefined) throw new UserNamespaceUnavailable('tsbuild runs in one already, and its containers with it', 'leave --userns out, or run as root of the system')
  const { uids, gids } = rangesOf(choice.user)
  if (choice.kind === 'remap') return { idMaps: { uids: inOrder(uids), gids: inOrder(gids) }, [Symbol.dispose]: () => undefined }
  return leaseSlice({ uids: slices(uids, choice.size), gids: slices(gids, choice.size) }, choice)
}

type Auto = Extract<UserNamespaceChoice, { kind: 'auto' }>

function rangesOf(user: string): { readonly uids: readonly SubordinateRange[]; readonly gids: readonly SubordinateRange[] } {
  const known = readSubordinateIds()
  const find = (file: string, ranges: readonly SubordinateRange[]): readonly SubordinateRange[] => {
    const found = ranges.filter(({ owner }) => owner === user)
    const remedy = `lend it some, as in "useradd --system ${user}; usermod --add-subuids 524288-589823 --add-subgids 524288-589823 ${user}", or name another user by TSBUILD_USERNS_USER`
    if (found.length === 0) throw new UserNamespaceUnavailable(`${file} has no range for user "${user}"`, remedy)
    if (found.some(({ start }) => start === 0)) throw new UserNamespaceUnavailable(`the range of user "${user}" in ${file} contains root`, remedy)
    return found
  }
  return { uids: find('/etc/subuid', known.uids), gids: find('/etc/subgid', known.gids) }
}

function inOrder(ranges: readonly SubordinateRange[]): IdRange[] {
  let inside = 0
  return ranges.map(({ start, count }) => {
    const range = { inside, outside: start, count }
    inside += count
    return range
  })
}

/** Where parts of that size begin; as an array of counts, since ranges hold up to 2^32 ids. */
interface Slices {
  readonly size: number
  readonly count: number
  readonly at: (index: number) => number
}

function slices(ranges: readonly SubordinateRange[], size: number): Slices {
  const counts = ranges.map(({ count }) => Math.floor(count / size))
  const at = (index: number): number => {
    let rest = index
    for (const [n, { start }] of ranges.entries()) {
      const here = counts[n] ?? 0
      if (rest < here) return start + rest * size
      rest -= here
    }
    throw new RangeError(`there is no part ${index}`)
  }
  return { size, count: counts.reduce((sum, count) => sum + count, 0), at }
}

/** Parts are tried from anywhere on, so that one rests before it is used again. */
function leaseSlice({ uids, gids }: { readonly uids: Slices; readonly gids: Slices }, { user, size }: Auto): IdLease {
  const count = Math.min(uids.count, gids.count)
  const remedy = `lend user "${user}" more, or ask for fewer with --userns auto:size=N`
  if (count === 0) throw new UserNamespaceUnavailable(`what /etc/subuid and /etc/subgid lend to user "${user}" is less than the ${size} ids of a container`, remedy)
  const fd = openIdFile()
  const first = randomInt(count)
  for (let turn = 0; turn < count; turn++) {
    const index = (first + turn) % count
    const [uid, gid] = [uids.at(index), gids.at(index)]
    if (!getAddon().lockRange(fd, uid, size, false) || !getAddon().lockRange(fd, firstGroupByte + gid, size, false)) continue
    const part = (outside: number): IdRange[] => [{ inside: 0, outside, count: size }]
    return { idMaps: { uids: part(uid), gids: part(gid) }, [Symbol.dispose]: () => { closeSync(fd) } }
  }
  closeSync(fd)
  throw new UserNamespaceUnavailable(`all ${count} parts of ${size} ids of user "${user}" are in use`, remedy)
}

function openIdFile(): number {
  try {
    mkdirSync(stateFolder, { recursive: true, mode: 0o700 })
    return openSync(idFile, constants.O_RDWR | constants.O_CREAT, 0o600)
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS')) throw new UserNamespaceUnavailable(`cannot open ${idFile}: ${error.code}`, 'run as root of the system', { cause: error })
    throw error
  }
}
