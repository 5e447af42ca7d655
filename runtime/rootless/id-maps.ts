import { readFileSync } from 'node:fs'

/** `count` ids from `inside` on, in a user namespace, are those from `outside` on around it. @see user_namespaces(7) */
export interface IdRange {
  readonly inside: number
  readonly outside: number
  readonly count: number
}

export interface IdMaps {
  readonly uids: readonly IdRange[]
  readonly gids: readonly IdRange[]
}

/** The whole range of ids: the namespace that the system started with has it, and nothing else can. */
const allIds = 0xffffffff

/** The maps of the user namespace this process is in; undefined in the one the system started with. */
export function readOwnIdMaps(): IdMaps | undefined {
  const uids = parseIdMap(readFileSync('/proc/self/uid_map', 'utf8'))
  if (uids.some(({ inside, outside, count }) => inside === 0 && outside === 0 && count === allIds)) return undefined
  return { uids, gids: parseIdMap(readFileSync('/proc/self/gid_map', 'utf8')) }
}

/** From /proc/PID/uid_map. */
export function parseIdMap(text: string): IdRange[] {
  return text.split('\n').filter((line) => line.trim() !== '').map((line) => {
    const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/u).map(Number)
    return { inside, outside, count }
  })
}

export function formatIdMap(ranges: readonly IdRange[]): string {
  return ranges.map(({ inside, outside, count }) => `${inside} ${outside} ${count}\n`).join('')
}

/** Whether an id of the namespace is one of somebody's outside. */
export function isMapped(ranges: readonly IdRange[], id: number): boolean {
  return ranges.some(({ inside, count }) => id >= inside && id - inside < count)
}

/** What an id of the namespace is outside, where there is one; the id itself otherwise. */
export function outsideId(ranges: readonly IdRange[] | undefined, id: number): number {
  const range = ranges?.find(({ inside, count }) => id >= inside && id - inside < count)
  return range === undefined ? id : range.outside + (id - range.inside)
}
