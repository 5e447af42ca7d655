import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { getAddon, randomId } from '../../native/index.ts'
import { parseDigest } from '../../oci/digest.ts'
import type { Database } from '../records/database.ts'
import { readInteger, readText } from '../records/database.ts'
import type { Layout } from './layout.ts'
import { formatDirId, parseDirId } from './layout.ts'

export type LeaseKind = 'blob' | 'layer'

const unrecordedBlobs = `
  SELECT key FROM leases WHERE session = ? AND kind = 'blob' AND key NOT IN (SELECT digest FROM blobs)
  AND key NOT IN (SELECT key FROM leases WHERE session <> ? AND kind = 'blob')`

/** Directories numbered at once, so that not every layer needs a transaction for its number. */
const rangeSize = 32

/**
 * What one process uses of a store. Its directory is locked as long as the process lives, and the lock goes with it: a
 * session whose lock can be taken is dead. It begins with the first lease or temporary file; reading needs none.
 */
export class Session {
  readonly #layout: Layout
  readonly #database: Database
  readonly #leased = new Set<string>()
  #held: { readonly id: string; readonly fd: number } | undefined
  #next = 0
  #last = -1
  #temporary = 0

  constructor(layout: Layout, database: Database) {
    this.#layout = layout
    this.#database = database
  }

  /** A transaction in which leases may be taken. */
  transaction<T>(kind: 'durable' | 'quick', work: () => T): T {
    try {
      return this.#database.transaction(kind, work)
    } catch (error) {
      // Leases it took were rolled back with it.
      this.#leased.clear()
      throw error
    }
  }

  /** Call it in the transaction that makes sure the object is there. */
  lease(kind: LeaseKind, key: string): void {
    if (this.isLeased(kind, key)) return
    this.#database.run('INSERT OR IGNORE INTO leases VALUES (?, ?, ?)', this.#begin(), kind, key)
    this.#leased.add(`${kind} ${key}`)
  }

  isLeased(kind: LeaseKind, key: string): boolean {
    return this.#leased.has(`${kind} ${key}`)
  }

  /** A name for a layer or snapshot directory that no other session gets. */
  createDirId(): string {
    if (this.#next > this.#last) this.transaction('quick', () => { this.#takeRange() })
    this.#next += 1
    return formatDirId(this.#next - 1)
  }

  /** Takes over what lies at a number whose row is about to go: it goes into the trash when the session ends, however that is. In a transaction. */
  adoptDir(dir: string): void {
    const number = parseDirId(dir)
    if (number === undefined) throw new TypeError(`"${dir}" is no number of a layer`)
    this.#database.run('INSERT OR IGNORE INTO ranges VALUES (?, ?, ?)', number, number, this.#begin())
  }

  /** A path of its own in the session's directory. */
  createTemporaryPath(): string {
    const id = this.#held?.id ?? this.transaction('quick', () => this.#begin())
    this.#temporary += 1
    return join(this.#layout.session(id), `${this.#temporary}`)
  }

  /** undefined while it has not begun. */
  get id(): string | undefined {
    return this.#held?.id
  }

  /** Gives everything back; what was made and not recorded goes into the trash. */
  end(): void {
    const held = this.#held
    if (held === undefined) return
    this.transaction('quick', () => {
      this.#database.run("UPDATE layers SET used_ms = ? WHERE chain_id IN (SELECT key FROM leases WHERE session = ? AND kind = 'layer')", Date.now(), held.id)
      forgetSession(this.#layout, this.#database, held.id)
    })
    removeFolder(this.#layout, held.id)
    closeSync(held.fd)
    this.#held = undefined
  }

  #takeRange(): void {
    const id = this.#begin()
    const first = readInteger(this.#database.get('UPDATE sequence SET next = next + ? RETURNING next', rangeSize) ?? {}, 'next') - rangeSize
    // After power loss the sequence may lie behind what was made with its numbers.
    discardRange(this.#layout, this.#database, { first, last: first + rangeSize - 1 })
    this.#database.run('INSERT INTO ranges VALUES (?, ?, ?)', first, first + rangeSize - 1, id)
    this.#next = first
    this.#last = first + rangeSize - 1
  }

  /** In a transaction, as is the look for dead sessions: no directory of ours is met before it is locked. */
  #begin(): string {
    if (this.#held !== undefined) return this.#held.id
    const id = randomId()
    mkdirSync(this.#layout.session(id), { mode: 0o700 })
    const fd = openSync(this.#layout.session(id), 'r')
    getAddon().tryLock(fd, true)
    this.#held = { id, fd }
    return id
  }
}

/** Ids of sessions whose process is gone. In a transaction. */
export function findDeadSessions(layout: Layout, database: Database, own: string | undefined): string[] {
  const named = database.all('SELECT session FROM leases UNION SELECT session FROM ranges').map((row) => readText(row, 'session'))
  const ids = new Set([...readdirSync(layout.sessions), ...named])
  return [...ids].filter((id) => id !== own && !isSessionAlive(layout, id))
}

/** Moves what dead sessions left into the trash and forgets their leases. @returns how many there were */
export function buryDeadSessions(layout: Layout, database: Database, own: string | undefined): number {
  const dead = database.transaction('quick', () => {
    const found = findDeadSessions(layout, database, own)
    for (const id of found) forgetSession(layout, database, id)
    return found
  })
  for (const id of dead) removeFolder(layout, id)
  return dead.length
}

function isSessionAlive(layout: Layout, id: string): boolean {
  let fd: number
  try {
    fd = openSync(layout.session(id), 'r')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
  try {
    return !getAddon().tryLock(fd, false)
  } finally {
    closeSync(fd)
  }
}

function forgetSession(layout: Layout, database: Database, id: string): void {
  for (const range of database.all('SELECT first, last FROM ranges WHERE session = ?', id)) {
    discardRange(layout, database, { first: readInteger(range, 'first'), last: readInteger(range, 'last') })
  }
  // Renamed into place, and the process died before the row.
  for (const row of database.all(unrecordedBlobs, id, id)) discard(layout, layout.blob(parseDigest(readText(row, 'key'))))
  database.run('DELETE FROM ranges WHERE session = ?', id)
  database.run('DELETE FROM leases WHERE session = ?', id)
}

/**
 * After `forgetSession`: the directory is what tells others to look for the rest. One that ended well is empty, and
 * nothing of it has to be deleted later.
 */
function removeFolder(layout: Layout, id: string): void {
  try {
    rmdirSync(layout.session(id))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return
    if (!isErrno(error, 'ENOTEMPTY')) throw error
    discard(layout, layout.session(id))
  }
}

/** Snapshots go, and layers that nobody recorded. */
function discardRange(layout: Layout, database: Database, range: { readonly first: number; readonly last: number }): void {
  for (let number = range.first; number <= range.last; number += 1) {
    const dir = formatDirId(number)
    discard(layout, layout.snapshot(dir))
    const isRecorded = existsSync(layout.layer(dir)) && database.get('SELECT 1 FROM layers WHERE dir = ?', dir) !== undefined
    if (!isRecorded) discardLayer(layout, dir)
  }
}

/** Whichever way it is kept. */
export function discardLayer(layout: Layout, dir: string): void {
  discard(layout, layout.layer(dir))
  discard(layout, layout.layerTar(dir))
}

/** Renames into the trash what is there. @returns whether anything was */
export function discard(layout: Layout, path: string): boolean {
  // The exception costs more than the look, and mostly nothing is there.
  if (!existsSync(path)) return false
  try {
    renameSync(path, join(layout.trash, randomId()))
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
