import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import { randomId } from '../../native/index.ts'
import { digestHex, sha256 } from '../../oci/digest.ts'
import { maxChangesetBytes, maxChangesetSeconds } from '../layer/layer-blobs.ts'
import type { Database, Row } from '../records/database.ts'
import { readInteger, readText } from '../records/database.ts'
import type { Layout } from '../root/layout.ts'
import { takeLock, tryLock } from '../root/lock.ts'
import type { Session } from '../root/session.ts'
import { discard } from '../root/session.ts'
import type { OverlayXattrs } from '../tree/tree-helper.ts'
import { unpackTree } from '../tree/unpack-tree.ts'
import { measureTrees, removeTrees } from '../tree/upkeep-trees.ts'
import type { CacheMount, CacheMountRequest, CacheMounts, HeldCacheMount, MeasuredCacheMount } from './cache-mount.ts'

const schema = `
  CREATE TABLE IF NOT EXISTS cache_mounts (
    name TEXT PRIMARY KEY, id TEXT NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL, mode INTEGER NOT NULL, seed TEXT NOT NULL,
    created_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL
  ) WITHOUT ROWID`

interface Parts {
  readonly layout: Layout
  readonly database: Database
  readonly session: Session
  readonly xattrs: OverlayXattrs
}

/**
 * A directory for each cache mount under `mounts/`, named after what identifies it; further ones, with a number, where
 * several builds want one each. Whoever uses one holds the lock of its name; who removes one holds it alone, and who makes
 * one holds another.
 */
export class CacheMountDirectories implements CacheMounts {
  readonly #parts: Parts
  #hasTable = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async hold(request: CacheMountRequest, task: Task): Promise<HeldCacheMount> {
    const base = digestHex(sha256(JSON.stringify([request.id, request.seed?.name ?? '', request.uid, request.gid, request.mode]))).slice(0, 24)
    for (let number = 0; ; number += 1) {
      const name = number === 0 ? base : `${base}-${number}`
      const held = await this.#holdOne(name, request, task)
      if (held !== undefined) return held
    }
  }

  async list(task: Task): Promise<MeasuredCacheMount[]> {
    const records = readRows(this.#parts.database).map(parseRow).flatMap((record) => {
      const there = lstatSync(this.#path(record.name), { throwIfNoEntry: false })
      return there === undefined ? [] : [{ ...record, owner: { uid: there.uid, gid: there.gid } }]
    })
    const sizes = await measureTrees(this.#parts.layout.root, records.map(({ name }) => this.#path(name)), task)
    return records.map((record, index) => ({ ...record, inodes: sizes[index]?.inodes ?? 0, diskBytes: sizes[index]?.diskBytes ?? 0 }))
  }

  async remove(name: string, task: Task): Promise<'removed' | 'in-use' | 'missing'> {
    const { layout, database } = this.#parts
    if (!listMountNames(database).includes(name)) return 'missing'
    const trash = join(layout.trash, randomId())
    const lock = tryLock(layout, { name: mountLockName(name), exclusive: true })
    if (lock === undefined) return 'in-use'
    try {
      database.transaction('quick', () => {
        database.run('DELETE FROM cache_mounts WHERE name = ?', name)
        renameSync(this.#path(name), trash)
      })
    } finally {
      await lock[Symbol.asyncDispose]()
    }
    await removeTrees(layout.root, [trash], task)
    return 'removed'
  }

  /** @returns undefined when somebody else has this one and another is wanted */
  async #holdOne(name: string, request: CacheMountRequest, task: Task): Promise<HeldCacheMount | undefined> {
    const { layout, database } = this.#parts
    for (;;) {
      const lock = await this.#lock(name, request, task)
      if (lock === undefined) return undefined
      this.#ensureTable()
      const used = database.transaction('quick', () => database.run('UPDATE cache_mounts SET used_ms = ? WHERE name = ?', Date.now(), name))
      if (used > 0 && existsSync(this.#path(name))) return { path: this.#path(name), [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose]() }
      await lock[Symbol.asyncDispose]()
      // Not the lock of those who use it: behind the first of them the second maker would wait until its step is over.
      const maker = await takeLock(layout, { name: `making ${mountLockName(name)}`, exclusive: true }, task)
      try {
        if (!this.#isMade(name)) await this.#make(name, request, task)
      } finally {
        await maker[Symbol.asyncDispose]()
      }
    }
  }

  #lock(name: string, { sharing }: CacheMountRequest, task: Task): Promise<AsyncDisposable | undefined> {
    const request = { name: mountLockName(name), exclusive: sharing !== 'shared' }
    return sharing === 'private' ? Promise.resolve(tryLock(this.#parts.layout, request)) : takeLock(this.#parts.layout, request, task)
  }

  /** Complete before it has its name. */
  async #make(name: string, { id, uid, gid, mode, seed, owner = { uid, gid } }: CacheMountRequest, task: Task): Promise<void> {
    const { layout, database, session, xattrs } = this.#parts
    const directory = session.createTemporaryPath()
    mkdirSync(directory, { mode: 0o755 })
    chownSync(directory, owner.uid, owner.gid)
    chmodSync(directory, mode)
    if (seed !== undefined) {
      await unpackTree({ root: layout.root, directory, xattrs, makesWhiteouts: false, maxBytes: maxChangesetBytes, maxSeconds: maxChangesetSeconds, lowers: [] }, seed.changeset(), task)
    }
    mkdirSync(layout.mounts, { recursive: true, mode: 0o700 })
    this.#ensureTable()
    database.transaction('durable', () => {
      discard(layout, this.#path(name))
      renameSync(directory, this.#path(name))
      const now = Date.now()
      database.run('INSERT OR REPLACE INTO cache_mounts VALUES (?, ?, ?, ?, ?, ?, ?, ?)', name, id, uid, gid, mode, seed?.name ?? '', now, now)
    })
  }

  /** A maker who was killed may have left its directory without a record, and one who removed it a record alone. */
  #isMade(name: string): boolean {
    return existsSync(this.#path(name)) && listMountNames(this.#parts.database).includes(name)
  }

  #ensureTable(): void {
    const { database } = this.#parts
    if (!this.#hasTable) database.transaction('quick', () => database.run(schema))
    this.#hasTable = true
  }

  #path(name: string): string {
    return join(this.#parts.layout.mounts, name)
  }
}

/** Of all that are on record. */
export function listMountNames(database: Database): string[] {
  return readRows(database).map((row) => readText(row, 'name'))
}

/** Those used last come first. The table is made with the first mount. */
function readRows(database: Database): Row[] {
  if (database.get("SELECT 1 FROM sqlite_master WHERE name = 'cache_mounts'") === undefined) return []
  return database.all('SELECT * FROM cache_mounts ORDER BY used_ms DESC')
}

/** Whoever uses a cache mount holds it. */
export function mountLockName(name: string): string {
  return `cache mount ${name}`
}

function parseRow(row: Row): CacheMount {
  return {
    name: readText(row, 'name'),
    id: readText(row, 'id'),
    uid: readInteger(row, 'uid'),
    gid: readInteger(row, 'gid'),
    mode: readInteger(row, 'mode'),
    seed: readText(row, 'seed'),
    createdAtMs: readInteger(row, 'created_ms'),
    usedAtMs: readInteger(row, 'used_ms'),
  }
}
