import { existsSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import { parseDigest } from '../../oci/digest.ts'
import type { StoredLayer } from '../layer/stored-layer.ts'
import { writeIndex } from '../records/index-json.ts'
import { takeLock } from '../root/lock.ts'
import { forEachAbandoned } from '../root/incoming-file.ts'
import { buryDeadSessions, discard, findDeadSessions } from '../root/session.ts'
import type { StoreParts } from '../store-parts.ts'
import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'
import { measureTrees, removeTrees } from '../tree/upkeep-trees.ts'
import { findStrays, findUnneededBlobs, findUnneededLayers, measureFile } from './garbage.ts'
import { fillReserve, releaseReserveIfFull } from './reserve.ts'

export interface GcOptions {
  /** Changes nothing and reports what would be freed. */
  readonly dryRun: boolean
}

export interface GcReport {
  readonly layers: number
  readonly blobs: number
  /** Of all that went, leftovers of dead processes and of failed work included. */
  readonly inodes: number
  readonly bytes: number
}

interface Size { readonly inodes: number; readonly bytes: number }

/** Names and rows change hands in batches of this size, so that no other process waits long for the database. */
const batchSize = 64
const all = -1

/**
 * Deletes what no image, cache entry or lease of a living process needs. Safe beside any other work on the store; one
 * collection runs at a time.
 */
export async function gc(store: Store, task: Task, options: GcOptions): Promise<GcReport> {
  const parts = getParts(store)
  const lock = await takeLock(parts.layout, { name: 'gc', exclusive: true }, task)
  try {
    return options.dryRun ? await predict(parts, task) : await collect(parts, task)
  } finally {
    await lock[Symbol.asyncDispose]()
  }
}

async function predict({ layout, database, session }: StoreParts, task: Task): Promise<GcReport> {
  const found = database.transaction('quick', () => {
    const dead = findDeadSessions(layout, database, session.id)
    const layers = findUnneededLayers(database, dead, all)
    const sessions = dead.map((id) => layout.session(id)).filter((path) => existsSync(path))
    const leftovers = readdirSync(layout.trash).map((name) => join(layout.trash, name))
    forEachAbandoned(layout, (path) => leftovers.push(path))
    return {
      layers,
      blobs: findUnneededBlobs(database, { dead, gone: layers }, all).map((digest) => layout.blob(parseDigest(digest))),
      others: [...sessions, ...findStrays(layout, database, dead), ...leftovers],
    }
  })
  return sum(found.layers, found.blobs.map(measureFile), await measureOthers(layout.root, found.others, task))
}

async function collect(parts: StoreParts, task: Task): Promise<GcReport> {
  const { layout, database, session } = parts
  releaseReserveIfFull(layout)
  buryDeadSessions(layout, database, session.id)
  database.transaction('quick', () => {
    for (const path of findStrays(layout, database, [])) discard(layout, path)
    forEachAbandoned(layout, (path) => discard(layout, path))
  })
  const others = await measureOthers(layout.root, readdirSync(layout.trash).map((name) => join(layout.trash, name)), task)
  const layers = sweepLayers(parts, task)
  const blobs = sweepBlobs(parts, task)
  await removeTrees(layout.root, readdirSync(layout.trash).map((name) => join(layout.trash, name)), task)
  database.transaction('quick', () => { writeIndex(layout, database) })
  fillReserve(layout)
  return sum(layers, blobs, others)
}

function sweepLayers({ layout, database }: StoreParts, task: Task): StoredLayer[] {
  const swept: StoredLayer[] = []
  for (;;) {
    task.signal.throwIfAborted()
    const batch = database.transaction('durable', () => {
      const unneeded = findUnneededLayers(database, [], batchSize)
      for (const layer of unneeded) {
        if (layer.dir !== undefined) discard(layout, layout.layer(layer.dir))
        database.run('DELETE FROM layers WHERE chain_id = ?', layer.chainId)
      }
      return unneeded
    })
    swept.push(...batch)
    if (batch.length < batchSize) return swept
  }
}

function sweepBlobs({ layout, database }: StoreParts, task: Task): Size[] {
  const swept: Size[] = []
  for (;;) {
    task.signal.throwIfAborted()
    const batch = database.transaction('durable', () => findUnneededBlobs(database, { dead: [], gone: [] }, batchSize).map((digest) => {
      const path = layout.blob(parseDigest(digest))
      const size = measureFile(path)
      discard(layout, path)
      database.run('DELETE FROM blobs WHERE digest = ?', digest)
      database.run('DELETE FROM layer_blobs WHERE digest = ?', digest)
      return size
    }))
    swept.push(...batch)
    if (batch.length < batchSize) return swept
  }
}

async function measureOthers(root: string, paths: readonly string[], task: Task): Promise<Size[]> {
  const isDirectory = new Map(paths.map((path) => [path, lstatSync(path).isDirectory()]))
  const trees = await measureTrees(root, paths.filter((path) => isDirectory.get(path) === true), task)
  const files = paths.filter((path) => isDirectory.get(path) === false).map(measureFile)
  return [...trees.map(({ inodes, diskBytes }) => ({ inodes, bytes: diskBytes })), ...files]
}

function sum(layers: readonly StoredLayer[], blobs: readonly Size[], others: readonly Size[]): GcReport {
  const sizes = [...layers.map(({ inodes, diskBytes }) => ({ inodes, bytes: diskBytes })), ...blobs, ...others]
  return {
    layers: layers.length,
    blobs: blobs.length,
    inodes: sizes.reduce((total, size) => total + size.inodes, 0),
    bytes: sizes.reduce((total, size) => total + size.bytes, 0),
  }
}
