import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { parseChainId, parseDigest } from '../../oci/digest.ts'
import { DigestMismatch } from '../../oci/errors.ts'
import { DiffIdMismatch } from '../errors.ts'
import { MalformedCompression } from '../compression/errors.ts'
import { HostileArchive } from '../tree/errors.ts'
import { measureLayers } from '../layer/measure-layers.ts'
import type { LoneLayer, StoredLayer } from '../layer/stored-layer.ts'
import { layerPaths, parseLayerRow } from '../layer/stored-layer.ts'
import { readInteger, readText } from '../records/database.ts'
import { deleteImageRows } from '../records/image-rows.ts'
import { writeIndex } from '../records/index-json.ts'
import { listNameManifests, recordBlobs } from '../records/name-manifests.ts'
import type { Layout } from '../root/layout.ts'
import { takeLock } from '../root/lock.ts'
import { buryDeadSessions, discard } from '../root/session.ts'
import type { StoreParts } from '../store-parts.ts'
import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'
import { syncFilesystem } from '../tree/upkeep-trees.ts'
import { checkImage, isSound } from './check-images.ts'
import type { Check, Finding } from './finding.ts'
import type { FsckReport } from './fsck.ts'
import { fsck } from './fsck.ts'
import { findStrays } from './garbage.ts'

export interface RepairReport {
  /** What was wrong, in the order of finding. */
  readonly findings: readonly Finding[]
  /** Images of which documents or layers are gone. Their names are taken away: pulling or building them again brings them back. */
  readonly lostImages: readonly LostImage[]
  /** What was damaged lies here, out of the way. */
  readonly quarantine: string
  readonly quarantined: readonly string[]
  /** After all. */
  readonly after: FsckReport
}

export interface LostImage {
  readonly id: string
  readonly manifest: string
  readonly names: readonly string[]
}

/**
 * Gets the content of a blob from elsewhere into the store, from where one of the images comes that have it.
 * @returns whether it is there now
 */
export type FetchBlob = (blob: Descriptor, names: readonly string[], task: Task) => Promise<boolean>

/** A layer that cannot be made again takes those on top of it along, and these show in the next round. */
const maxRounds = 8

interface Repairing {
  readonly store: Store
  readonly parts: StoreParts
  readonly task: Task
  readonly fetchBlob: FetchBlob
  readonly lost: LostImage[]
  readonly quarantined: string[]
}

/**
 * Makes every invariant hold again, and loses nothing that can be had again: damaged blobs and layers go into quarantine,
 * blobs are fetched again, layers are made again from blobs, what refers to nothing is forgotten. A layer that works but
 * whose exact bytes are nowhere to be had stays, and so does its finding.
 */
export async function repair(store: Store, options: { readonly fetchBlob: FetchBlob }, task: Task): Promise<RepairReport> {
  const parts = getParts(store)
  const lock = await takeLock(parts.layout, { name: 'gc', exclusive: true }, task)
  try {
    const repairing: Repairing = { store, parts, task, fetchBlob: options.fetchBlob, lost: [], quarantined: [] }
    const findings: Finding[] = []
    let after = await fsck(store, task)
    for (let round = 0; round < maxRounds && after.findings.length > 0; round += 1) {
      const before = JSON.stringify(after.findings)
      findings.push(...after.findings)
      for (const { check, object } of after.findings) await remedies[check](repairing, object)
      after = await fsck(store, task)
      if (JSON.stringify(after.findings) === before) break
    }
    return { findings, lostImages: repairing.lost, quarantine: parts.layout.quarantine, quarantined: repairing.quarantined, after }
  } finally {
    await lock[Symbol.asyncDispose]()
  }
}

type Remedy = (repairing: Repairing, object: string) => unknown

const remedies: Readonly<Record<Check, Remedy>> = {
  'blob-missing': replaceBlob,
  'blob-size': replaceBlob,
  'blob-digest': replaceBlob,
  'layer-missing': remakeLayer,
  'layer-diff-id': remakeLayer,
  'layer-tree': remakeLayer,
  'layer-index': remakeLayer,
  'layer-parent': removeOrphan,
  'layer-chain-id': removeLayer,
  // Its blob was looked for when that was found missing.
  'layer-source': () => undefined,
  'layer-inodes': recount,
  'image-document': loseImage,
  'image-layers': loseImage,
  'name-dangling': ({ parts: { database } }, name) => database.transaction('durable', () => database.run('DELETE FROM names WHERE name = ?', name)),
  'name-manifest': forgetNameManifest,
  'cache-dangling': ({ parts: { database } }, key) => database.transaction('durable', () => database.run('DELETE FROM cache WHERE key = ?', key)),
  index: ({ parts: { database, layout } }) => { database.transaction('durable', () => { writeIndex(layout, database) }) },
  'session-dead': ({ parts: { database, layout, session } }) => buryDeadSessions(layout, database, session.id),
  stray: ({ parts: { database, layout } }, path) => database.transaction('quick', () => findStrays(layout, database, []).includes(path) && discard(layout, path)),
}

async function replaceBlob({ parts: { layout, database }, quarantined, fetchBlob, task }: Repairing, digest: string): Promise<void> {
  const { size, names } = database.transaction('durable', () => {
    const row = database.get('SELECT size FROM blobs WHERE digest = ?', digest)
    quarantine(layout, layout.blob(parseDigest(digest)), quarantined)
    database.run('DELETE FROM blobs WHERE digest = ?', digest)
    writeIndex(layout, database)
    const found = database.all('SELECT DISTINCT name FROM names JOIN image_blobs USING (image) WHERE digest = ? ORDER BY name', digest)
    return { size: row === undefined ? 0 : readInteger(row, 'size'), names: found.map((each) => readText(each, 'name')) }
  })
  const isBack = await fetchBlob({ mediaType: 'application/octet-stream', digest: parseDigest(digest), size }, names, task)
  if (!isBack) database.transaction('durable', () => database.run('DELETE FROM layer_blobs WHERE digest = ?', digest))
}

/** From a blob that holds its changeset, in the place of the damaged one; without such a blob it is gone. */
async function remakeLayer(repairing: Repairing, chainId: string): Promise<void> {
  const { parts: { layout, database }, task, quarantined } = repairing
  const layer = findLayer(repairing.parts, chainId)
  if (layer === undefined) return
  const made = await unpackAgain(repairing, layer)
  if (made?.dir === undefined) {
    removeLayer(repairing, chainId)
    return
  }
  const { dir, origin, hasRoot, hidesBelow, diskBytes, inodes, tarBytes } = made
  await syncFilesystem(layout.root, task)
  database.transaction('durable', () => {
    for (const path of layerPaths(layout, layer)) quarantine(layout, path, quarantined)
    database.run(
      'UPDATE layers SET dir = ?, origin = ?, has_root = ?, hides_below = ?, disk_bytes = ?, inodes = ?, tar_bytes = ? WHERE chain_id = ?',
      dir, origin, Number(hasRoot), Number(hidesBelow), diskBytes, inodes, tarBytes, chainId,
    )
  })
  repairing.parts.layers.forget(layer.chainId)
}

async function unpackAgain({ parts: { layout, layerBlobs, layers, format }, task }: Repairing, layer: StoredLayer): Promise<LoneLayer | undefined> {
  const { diffId, parent, dir, origin } = layer
  const ownTar = origin === 'indexed' && dir !== undefined && existsSync(layout.layerTar(dir)) ? await format.changeset(layer, task) : undefined
  const changeset = await layerBlobs.read(diffId, task) ?? ownTar
  if (changeset === undefined || (parent !== undefined && layers.find(parent) === undefined)) return undefined
  try {
    return await format.unpack({ changeset, expected: diffId, origin: 'foreign', isBottom: parent === undefined, lowers: layers.visibleStack(parent) }, task)
  } catch (error) {
    const isDamaged = error instanceof DigestMismatch || error instanceof DiffIdMismatch || error instanceof HostileArchive || error instanceof MalformedCompression
    if (!isDamaged) throw error
    return undefined
  }
}

/** Unless the one below it has just been made again. */
function removeOrphan(repairing: Repairing, chainId: string): void {
  const { parts } = repairing
  const parent = findLayer(parts, findLayer(parts, chainId)?.parent ?? chainId)
  const isThere = parent !== undefined && parent.chainId !== chainId && layerPaths(parts.layout, parent).every((path) => existsSync(path))
  if (!isThere) removeLayer(repairing, chainId)
}

function removeLayer({ parts, quarantined }: Repairing, chainId: string): void {
  const { layout, database } = parts
  const layer = findLayer(parts, chainId)
  if (layer === undefined) return
  database.transaction('durable', () => {
    for (const path of layerPaths(layout, layer)) quarantine(layout, path, quarantined)
    database.run('DELETE FROM layers WHERE chain_id = ?', chainId)
  })
  parts.layers.forget(layer.chainId)
}

async function recount({ parts, task }: Repairing, chainId: string): Promise<void> {
  const { layout, database } = parts
  const layer = findLayer(parts, chainId)
  if (layer?.dir === undefined) return
  const [size] = await measureLayers(layout, [layer], task)
  if (size === undefined) return
  database.transaction('durable', () => database.run('UPDATE layers SET inodes = ?, disk_bytes = ? WHERE chain_id = ?', size.inodes, size.diskBytes, chainId))
  parts.layers.forget(layer.chainId)
}

/** Unless what it lacked has just been fetched or made again. */
function loseImage({ parts, lost }: Repairing, id: string): void {
  const { layout, database } = parts
  database.transaction('durable', () => {
    const row = database.get('SELECT * FROM images WHERE id = ?', id)
    const findings: Finding[] = []
    if (row !== undefined) checkImage(parts, row, (finding) => { findings.push(finding) })
    if (row === undefined || findings.length === 0) return
    const names = database.all('SELECT name FROM names WHERE image = ? ORDER BY name', id).map((each) => readText(each, 'name'))
    deleteImageRows(database, id)
    writeIndex(layout, database)
    lost.push({ id, manifest: readText(row, 'manifest'), names })
  })
}

/** The name goes on with the manifest of its image, which has the same content, unless its own has just been fetched. */
function forgetNameManifest({ parts }: Repairing, name: string): void {
  const { layout, database } = parts
  database.transaction('durable', () => {
    const own = listNameManifests(database).find((each) => each.name === name)
    if (own === undefined || isSound(parts, own.row)) return
    database.run('DELETE FROM name_manifests WHERE name = ?', name)
    recordBlobs(parts, readText(own.row, 'id'))
    writeIndex(layout, database)
  })
}

function findLayer({ database }: StoreParts, chainId: string): StoredLayer | undefined {
  const row = database.get('SELECT * FROM layers WHERE chain_id = ?', parseChainId(chainId))
  return row === undefined ? undefined : parseLayerRow(row)
}

function quarantine(layout: Layout, path: string, quarantined: string[]): void {
  if (!existsSync(path)) return
  mkdirSync(layout.quarantine, { recursive: true, mode: 0o700 })
  const to = join(layout.quarantine, `${basename(path)}.${randomUUID().slice(0, 8)}`)
  renameSync(path, to)
  quarantined.push(to)
}
