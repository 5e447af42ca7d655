import { readFileSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'
import type { IdMaps, IdRange } from './id-maps.ts'

/** Whom ids are looked up for. */
export interface Owner {
  /** undefined when the system knows no name for the user id. */
  readonly name: string | undefined
  readonly uid: number
  readonly gid: number
}

/** A line of /etc/subuid or /etc/subgid. */
export interface SubordinateRange {
  readonly owner: string
  readonly start: number
  readonly count: number
}

export interface SubordinateIds {
  readonly uids: readonly SubordinateRange[]
  readonly gids: readonly SubordinateRange[]
}

/** @see subuid(5) */
export function readSubordinateIds(): SubordinateIds {
  return { uids: parseSubordinateIds(readOptional('/etc/subuid')), gids: parseSubordinateIds(readOptional('/etc/subgid')) }
}

export function parseSubordinateIds(text: string): SubordinateRange[] {
  return text.split('\n').flatMap((line) => {
    const [, owner, start, count] = /^([^:#]+):(\d{1,10}):(\d{1,10})$/u.exec(line.trim()) ?? []
    if (owner === undefined || Number(count) === 0 || Number(start) + Number(count) > 0xffffffff) return []
    return [{ owner, start: Number(start), count: Number(count) }]
  })
}

/** The owner becomes 0 inside, what the system lent them follows from 1 on. Or the reason why that cannot be. */
export function planIdMaps(owner: Owner, ids: SubordinateIds): IdMaps | { readonly reason: string } {
  const uids = rangesOf(owner, ids.uids)
  const gids = rangesOf(owner, ids.gids)
  if (uids.length === 0 || gids.length === 0) return { reason: `${uids.length === 0 ? '/etc/subuid' : '/etc/subgid'} has no range for ${describe(owner)}` }
  const stolen = findStolen(owner.uid, uids) ?? findStolen(owner.gid, gids)
  if (stolen !== undefined) return { reason: `the range ${stolen.owner}:${stolen.start}:${stolen.count} contains root or ${describe(owner)}` }
  const doubled = findOverlap(uids) ?? findOverlap(gids)
  if (doubled !== undefined) return { reason: `the range ${doubled.owner}:${doubled.start}:${doubled.count} overlaps another one of ${describe(owner)}` }
  return { uids: mapFrom(owner.uid, uids), gids: mapFrom(owner.gid, gids) }
}

/** Ranges of different owners that share ids: each could do what it likes with the files of the other. */
export function findSharedRanges(ranges: readonly SubordinateRange[]): readonly (readonly [SubordinateRange, SubordinateRange])[] {
  return ranges.flatMap((one, index) => ranges.slice(index + 1).filter((other) => other.owner !== one.owner && overlaps(one, other)).map((other) => [one, other] as const))
}

function rangesOf(owner: Owner, ranges: readonly SubordinateRange[]): SubordinateRange[] {
  return ranges.filter((range) => range.owner === owner.name || range.owner === String(owner.uid))
}

function describe({ name, uid }: Owner): string {
  return name === undefined ? `user ${uid}` : `user "${name}" (${uid})`
}

/** Nobody may be lent root, or become themselves under a second id. */
function findStolen(id: number, ranges: readonly SubordinateRange[]): SubordinateRange | undefined {
  return ranges.find(({ start, count }) => start === 0 || (id >= start && id < start + count))
}

function findOverlap(ranges: readonly SubordinateRange[]): SubordinateRange | undefined {
  return ranges.find((range, index) => ranges.slice(0, index).some((earlier) => overlaps(earlier, range)))
}

function overlaps(one: SubordinateRange, other: SubordinateRange): boolean {
  return one.start < other.start + other.count && other.start < one.start + one.count
}

function mapFrom(id: number, ranges: readonly SubordinateRange[]): IdRange[] {
  let inside = 1
  return [{ inside: 0, outside: id, count: 1 }, ...ranges.map(({ start, count }) => {
    const range = { inside, outside: start, count }
    inside += count
    return range
  })]
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  }
}
