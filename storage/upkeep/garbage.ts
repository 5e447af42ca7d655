import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { isDigest } from '../../oci/digest.ts'
import type { StoredLayer } from '../layer/stored-layer.ts'
import { parseLayerRow } from '../layer/stored-layer.ts'
import type { Database } from '../records/database.ts'
import { readInteger } from '../records/database.ts'
import { listMountNames } from '../mounts/cache-mounts.ts'
import { forEachAbandoned } from '../root/incoming-file.ts'
import type { Layout } from '../root/layout.ts'
import { dirIdOfLayerName, parseDirId } from '../root/layout.ts'

/** Leases count when their session is not among these. */
type DeadSessions = readonly string[]

/** Layers that no image, cache entry or lease needs, children first. */
const unneededLayers = `
  WITH RECURSIVE live (chain_id) AS (
    SELECT top_chain FROM images WHERE top_chain IS NOT NULL
    UNION SELECT chain_id FROM image_tops
    UNION SELECT chain_id FROM cache
    UNION SELECT key FROM leases WHERE kind = 'layer'
    UNION SELECT layers.parent FROM layers JOIN live ON layers.chain_id = live.chain_id WHERE layers.parent IS NOT NULL
  )
  SELECT * FROM layers WHERE chain_id NOT IN live ORDER BY id DESC LIMIT ?`

export function findUnneededLayers(database: Database, most: number): StoredLayer[] {
  return database.all(unneededLayers, most).map(parseLayerRow)
}

/** Blobs of no image, of no layer, and not leased. */
const unneededBlobs = `
  SELECT digest FROM blobs
  WHERE digest NOT IN (SELECT digest FROM image_blobs)
    AND digest NOT IN (SELECT key FROM leases WHERE kind = 'blob')
    AND digest NOT IN (SELECT digest FROM layer_blobs WHERE diff_id IN (SELECT diff_id FROM layers))
  LIMIT ?`

export function findUnneededBlobs(database: Database, most: number): string[] {
  return database.all(unneededBlobs, most).map((row) => String(row['digest']))
}

/** Whether an object without a row is on its way into the store. */
export class Underway {
  readonly #leases: ReadonlySet<string>
  readonly #ranges: readonly { readonly first: number; readonly last: number }[]

  constructor(database: Database, dead: DeadSessions) {
    const json = JSON.stringify(dead)
    const leases = database.all("SELECT key FROM leases WHERE kind = 'blob' AND session NOT IN (SELECT value FROM json_each(?))", json)
    this.#leases = new Set(leases.map((row) => String(row['key'])))
    this.#ranges = database.all('SELECT first, last FROM ranges WHERE session NOT IN (SELECT value FROM json_each(?))', json)
      .map((row) => ({ first: readInteger(row, 'first'), last: readInteger(row, 'last') }))
  }

  hasBlob(digest: string): boolean {
    return this.#leases.has(digest)
  }

  hasDir(name: string): boolean {
    const number = parseDirId(name)
    return number !== undefined && this.#ranges.some(({ first, last }) => number >= first && number <= last)
  }
}

/** What goes with the next collection whatever the policies say: of dead sessions, of failed work, and what is in the trash. In a transaction. */
export function findLeftovers(layout: Layout, database: Database, dead: DeadSessions): string[] {
  const leftovers = [...dead.map((id) => layout.session(id)).filter((path) => existsSync(path)), ...findStrays(layout, database, dead), ...listTrash(layout)]
  forEachAbandoned(layout, (path) => leftovers.push(path))
  return leftovers
}

export function listTrash(layout: Layout): string[] {
  return readdirSync(layout.trash).map((name) => join(layout.trash, name))
}

/** Files and directories of the store that nothing refers to. In a transaction, so that nothing is just becoming known. */
export function findStrays(layout: Layout, database: Database, dead: DeadSessions): string[] {
  const underway = new Underway(database, dead)
  const blobs = new Set(database.all('SELECT digest FROM blobs').map((row) => String(row['digest'])))
  const dirs = new Set(database.all('SELECT dir FROM layers WHERE dir IS NOT NULL').map((row) => String(row['dir'])))
  const strayBlobs = listBlobFiles(layout).filter(({ digest }) => digest === undefined || (!blobs.has(digest) && !underway.hasBlob(digest)))
  const strayLayers = readdirSync(layout.layers).filter((name) => !dirs.has(dirIdOfLayerName(name)) && !underway.hasDir(dirIdOfLayerName(name)))
  const straySnapshots = readdirSync(layout.snapshots).filter((name) => !underway.hasDir(name))
  const mounts = new Set(listMountNames(database))
  const strayMounts = listNames(layout.mounts).filter((name) => !mounts.has(name))
  return [
    ...strayBlobs.map(({ path }) => path),
    ...strayLayers.map((name) => join(layout.layers, name)),
    ...straySnapshots.map((name) => join(layout.snapshots, name)),
    ...strayMounts.map((name) => join(layout.mounts, name)),
  ]
}

export interface BlobFile {
  readonly path: string
  /** undefined for a name that is no digest. */
  readonly digest: string | undefined
}

export function listBlobFiles(layout: Layout): BlobFile[] {
  const root = join(layout.content, 'blobs')
  const algorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512']
  return algorithms.flatMap((algorithm) => listNames(join(root, algorithm)).map((name) => {
    const digest = `${algorithm}:${name}`
    return { path: join(root, algorithm, name), digest: isDigest(digest) ? digest : undefined }
  }))
}

/** Of a folder that is made when it is first needed. */
export function listNames(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
