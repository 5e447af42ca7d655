import { accessSync, constants, statfsSync } from 'node:fs'
import type { SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import { DatabaseSync } from 'node:sqlite'
import { isErrno } from '../../core/errors.ts'
import { StorageFull, StoreBusy, StoreUnusable } from '../root/errors.ts'
import { explainFull } from '../root/explain-full.ts'

export type Row = Readonly<Record<string, SQLOutputValue>>

/** What the store knows about its files, shared by all processes that have it open. */
export interface Database {
  all(sql: string, ...values: SQLInputValue[]): Row[]
  get(sql: string, ...values: SQLInputValue[]): Row | undefined
  /** @returns how many rows were changed */
  run(sql: string, ...values: SQLInputValue[]): number
  /**
   * Runs `work`, which must not wait for anything, as the only writer of all processes. What is written survives power
   * loss once `durable` work has returned; `quick` work survives the death of the process only.
   * @throws {StoreBusy}
   */
  transaction<T>(kind: 'durable' | 'quick', work: () => T): T
  /** Of work in a transaction: what is left to do once it is committed. It is dropped when it is rolled back. */
  afterCommit(work: () => void): void
  close(): void
}

const busyTimeoutMs = 10_000
const sqliteBusy = 5
const sqliteReadOnly = 8
const sqliteIoError = 10
const sqliteCorrupt = 11
const sqliteFull = 13
const sqliteCannotOpen = 14
const sqliteNoDatabase = 26

/** `sequence` numbers directories; `layers.id` grows from parents to children. */
const firstSchema = `
  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE sequence (next INTEGER NOT NULL);
  INSERT INTO sequence VALUES (1);
  CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, created_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE layers (
    id INTEGER PRIMARY KEY, chain_id TEXT NOT NULL UNIQUE, diff_id TEXT NOT NULL, parent TEXT, dir TEXT UNIQUE,
    origin TEXT NOT NULL, has_root INTEGER NOT NULL, hides_below INTEGER NOT NULL,
    tar_bytes INTEGER NOT NULL, disk_bytes INTEGER NOT NULL, inodes INTEGER NOT NULL, created_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL
  );
  CREATE INDEX layers_by_parent ON layers (parent);
  CREATE INDEX layers_by_diff ON layers (diff_id);
  CREATE TABLE layer_blobs (diff_id TEXT NOT NULL, compression TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (diff_id, compression)) WITHOUT ROWID;
  CREATE INDEX layer_blobs_by_digest ON layer_blobs (digest);
  CREATE TABLE images (
    id TEXT PRIMARY KEY, manifest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL, top_chain TEXT, created_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE image_blobs (image TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (image, digest)) WITHOUT ROWID;
  CREATE INDEX image_blobs_by_digest ON image_blobs (digest);
  CREATE TABLE names (name TEXT PRIMARY KEY, image TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX names_by_image ON names (image);
  CREATE TABLE cache (key TEXT PRIMARY KEY, chain_id TEXT NOT NULL, payload TEXT NOT NULL, created_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE leases (session TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (session, kind, key)) WITHOUT ROWID;
  CREATE TABLE ranges (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, session TEXT NOT NULL);
`

/** Top layers of the images of an index, of which `images.top_chain` says nothing. */
const indexes = `
  CREATE TABLE image_tops (image TEXT NOT NULL, chain_id TEXT NOT NULL, PRIMARY KEY (image, chain_id)) WITHOUT ROWID;
`

/** Which manifest a name points to, where it is not the one its image was recorded with last: one config may have several. */
const nameManifests = `
  CREATE TABLE name_manifests (name TEXT PRIMARY KEY, manifest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TRIGGER forget_name_manifest AFTER DELETE ON names BEGIN DELETE FROM name_manifests WHERE name = OLD.name; END;
`

/** What the builder knows of files outside the store, by directory, so that a build writes only what changed. Earlier versions may have it in another form. */
const folderDigests = `
  DROP TABLE IF EXISTS file_digests;
  CREATE TABLE digest_roots (id INTEGER PRIMARY KEY, root TEXT NOT NULL UNIQUE, used_ms INTEGER NOT NULL);
  CREATE TABLE digest_folders (root INTEGER NOT NULL, folder BLOB NOT NULL, listing BLOB NOT NULL, PRIMARY KEY (root, folder));
  CREATE TRIGGER forget_digest_root AFTER DELETE ON digest_roots BEGIN DELETE FROM digest_folders WHERE root = OLD.id; END;
`

/** What makes each version of any before it. */
const steps = [
  { version: 1, sql: firstSchema },
  { version: 2, sql: indexes },
  { version: 3, sql: nameManifests },
  { version: 5, sql: folderDigests },
] as const
const newestVersion = 5

/** Opens the database file, making it when it is missing. */
export function openDatabase(root: string, file: string): Database {
  const database = explaining(root, () => new DatabaseSync(file, { timeout: busyTimeoutMs }))
  const statements = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    const found = statements.get(sql) ?? database.prepare(sql)
    statements.set(sql, found)
    return found
  }
  const pending: (() => void)[] = []
  const opened: Database = {
    all: (sql, ...values) => explaining(root, () => prepare(sql).all(...values)),
    get: (sql, ...values) => explaining(root, () => prepare(sql).get(...values)),
    run: (sql, ...values) => explaining(root, () => Number(prepare(sql).run(...values).changes)),
    transaction: (kind, work) => {
      database.exec(kind === 'durable' ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL')
      try {
        database.exec('BEGIN IMMEDIATE')
        const result = work()
        database.exec('COMMIT')
        for (const done of pending.splice(0)) done()
        return result
      } catch (error) {
        pending.length = 0
        if (database.isTransaction) database.exec('ROLLBACK')
        throw explain(root, error)
      }
    },
    afterCommit: (work) => { pending.push(work) },
    close: () => { database.close() },
  }
  if (readVersion(opened) < newestVersion) {
    explaining(root, () => { useLog(database) })
    opened.transaction('durable', () => {
      const version = readVersion(opened)
      for (const step of steps) if (step.version > version) database.exec(step.sql)
      database.exec(`PRAGMA user_version = ${newestVersion}`)
    })
  }
  return opened
}

/** Of a file that another process changes to a log at the same moment SQLite says at once that it is locked, whatever the timeout. */
function useLog(database: DatabaseSync): void {
  for (const deadline = performance.now() + busyTimeoutMs; ;) {
    try {
      database.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if (sqliteCode(error) !== sqliteBusy || performance.now() > deadline) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
}

function readVersion(database: Database): number {
  const row = database.get('PRAGMA user_version')
  return row === undefined ? 0 : readInteger(row, 'user_version')
}

function explaining<T>(root: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw explain(root, error)
  }
}

function explain(root: string, error: unknown): unknown {
  const code = sqliteCode(error)
  if (code === undefined) return explainFull(root, error)
  if (code === sqliteBusy) return new StoreBusy(root, { cause: error })
  const space = statfsSync(root)
  // Without room for its log SQLite says that it cannot open a file, or that writing failed.
  const isFull = code === sqliteFull || ((code === sqliteIoError || code === sqliteCannotOpen) && (space.bavail === 0 || (space.files > 0 && space.ffree === 0)))
  if (isFull) return new StorageFull(root, space, { cause: error })
  const problem = findProblem(root, code)
  return problem === undefined ? error : new StoreUnusable(root, problem, { cause: error })
}

/** The primary code; undefined for what is no error of SQLite's. */
function sqliteCode(error: unknown): number | undefined {
  return isErrno(error, 'ERR_SQLITE_ERROR') && 'errcode' in error ? Number(error.errcode) & 0xff : undefined
}

/** What is wrong with the store or the machine; undefined when the fault is ours. */
function findProblem(root: string, code: number): string | undefined {
  if (code === sqliteCorrupt || code === sqliteNoDatabase) return 'its state.db is damaged; restore it, or delete the directory and pull and build again'
  if (code !== sqliteReadOnly && code !== sqliteIoError && code !== sqliteCannotOpen) return undefined
  try {
    accessSync(root, constants.W_OK)
  } catch (denied) {
    if (isErrno(denied, 'EROFS')) return 'its filesystem is mounted read-only; TSBUILD_ROOT can name another place'
    if (isErrno(denied, 'ENOENT')) return 'it was deleted while it was open'
  }
  return 'its state.db cannot be read or written'
}

export function readText(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new TypeError(`column "${column}" holds no text`)
  return value
}

export function readOptionalText(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : readText(row, column)
}

export function readBytes(row: Row, column: string): Uint8Array {
  const value = row[column]
  if (!(value instanceof Uint8Array)) throw new TypeError(`column "${column}" holds no bytes`)
  return value
}

export function readInteger(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw new TypeError(`column "${column}" holds no number`)
  return value
}
