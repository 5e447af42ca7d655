import { readFileSync } from 'node:fs'
import type { Task } from '../../core/task.ts'
import { parseDigest } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { StoredLayer } from '../layer/stored-layer.ts'
import { deleteImageRows } from '../records/image-rows.ts'
import { writeIndex } from '../records/index-json.ts'
import { takeLock } from '../root/lock.ts'
import { forEachAbandoned } from '../root/incoming-file.ts'
import { buryDeadSessions, discard, discardLayer, findDeadSessions } from '../root/session.ts'
import type { StoreParts } from '../store-parts.ts'
import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'
import { removeTrees } from '../tree/upkeep-trees.ts'
import type { Root } from '../usage/holdings.ts'
import type { StockedImage, StockedMount } from '../usage/inventory.ts'
import { stockMounts, takeInventory } from '../usage/inventory.ts'
import { measureFile, measurePaths } from '../usage/measure-paths.ts'
import type { Size, Space } from '../usage/space.ts'
import { addSizes, readSpace, subtractSizes } from '../usage/space.ts'
import { findLeftovers, findStrays, findUnneededBlobs, findUnneededLayers, listTrash } from './garbage.ts'
import type { UnmetBudget } from './plan-removals.ts'
import { planRemovals } from './plan-removals.ts'
import type { PrunePolicy } from './policy.ts'
import { identity } from './policy.ts'
import { fillReserve, missingReserve, releaseReserveIfFull } from './reserve.ts'

export interface GcOptions {
  /** Changes nothing and reports what would be freed. */
  readonly dryRun: boolean
  /** Which images and cache entries go first; default none. */
  readonly policies?: readonly PrunePolicy[]
}

export interface GcReport {
  /** In the order in which they were chosen. */
  readonly removed: readonly RemovedRoot[]
  readonly layers: number
  readonly blobs: number
  /** Of all that went, leftovers of dead processes and of failed work included. */
  readonly inodes: number
  readonly bytes: number
  readonly unmet: readonly UnmetBudget[]
}

export interface RemovedRoot {
  readonly kind: Root['kind']
  /** An image's id, a cache entry's key, a cache mount's name. */
  readonly id: string
  readonly names: readonly string[]
  readonly usedAtMs: number
}

/** Names and rows change hands in batches of this size, so that no other process waits long for the database. */
const batchSize = 64

/**
 * Removes what the policies choose, and then deletes what no image, cache entry or lease of a living process needs. Safe
 * beside any other work on the store; one collection runs at a time.
 * @throws {InodesUncounted}
 */
export async function gc(store: Store, task: Task, options: GcOptions): Promise<GcReport> {
  const parts = getParts(store)
  const lock = await takeLock(parts.layout, { name: 'gc', exclusive: true }, task)
  try {
    const policies = options.policies ?? []
    const work = { store, parts, policies, mounts: policies.length === 0 ? [] : await stockMounts(store, task) }
    return options.dryRun ? await predict(work, task) : await collect(work, task)
  } finally {
    await lock[Symbol.asyncDispose]()
  }
}

interface Work {
  readonly store: Store
  readonly parts: StoreParts
  readonly policies: readonly PrunePolicy[]
  readonly mounts: readonly StockedMount[]
}

async function predict({ parts, policies, mounts }: Work, task: Task): Promise<GcReport> {
  const { layout, database, session } = parts
  const { inventory, others } = database.transaction('quick', () => {
    const dead = findDeadSessions(layout, database, session.id)
    return { inventory: takeInventory(parts, mounts, dead), others: findLeftovers(layout, database, dead) }
  })
  const leftovers = await measurePaths(layout.root, others, task)
  const { removals, freed, unmet } = planRemovals({ inventory, policies, space: spaceToUse(parts), leftovers, labelsOf: (image) => readLabels(parts, image) })
  return { removed: removals.map(describeRoot), layers: freed.layers, blobs: freed.blobs, ...addSizes([freed, leftovers]), unmet }
}

async function collect(work: Work, task: Task): Promise<GcReport> {
  const { store, parts, policies } = work
  const { layout, database, session } = parts
  releaseReserveIfFull(layout)
  buryDeadSessions(layout, database, session.id)
  database.transaction('quick', () => {
    for (const path of findStrays(layout, database, [])) discard(layout, path)
    forEachAbandoned(layout, (path) => discard(layout, path))
  })
  const leftovers = await measurePaths(layout.root, listTrash(layout), task)
  const { removals, unmet } = policies.length === 0 ? { removals: [], unmet: [] } : removeRoots(work, leftovers)
  const mounts = await removeMounts(store, removals.filter((root) => root.kind === 'mount'), task)
  const layers = sweepLayers(parts, task)
  const blobs = sweepBlobs(parts, task)
  await removeTrees(layout.root, listTrash(layout), task)
  database.transaction('quick', () => { writeIndex(layout, database) })
  fillReserve(layout)
  const freed = addSizes([leftovers, ...mounts.map(({ size }) => size), ...layers.map(({ inodes, diskBytes }) => ({ inodes, bytes: diskBytes })), ...blobs])
  const removed = removals.filter((root) => root.kind !== 'mount' || mounts.includes(root))
  return { removed: removed.map(describeRoot), layers: layers.length, blobs: blobs.length, ...freed, unmet }
}

/** Chosen and removed in one transaction: what somebody begins to use meanwhile is leased before or not found after. */
function removeRoots({ parts, policies, mounts }: Work, leftovers: Size): { readonly removals: readonly Root[]; readonly unmet: readonly UnmetBudget[] } {
  const { layout, database } = parts
  return database.transaction('durable', () => {
    const plan = planRemovals({ inventory: takeInventory(parts, mounts), policies, space: spaceToUse(parts), leftovers, labelsOf: (image) => readLabels(parts, image) })
    for (const root of plan.removals) {
      if (root.kind === 'cache') database.run('DELETE FROM cache WHERE key = ?', root.key)
      if (root.kind === 'image') deleteImageRows(database, root.id)
    }
    if (plan.removals.some(({ kind }) => kind === 'image')) writeIndex(layout, database)
    return plan
  })
}

/** @returns those that nobody began to use meanwhile */
async function removeMounts(store: Store, chosen: readonly StockedMount[], task: Task): Promise<StockedMount[]> {
  const removed: StockedMount[] = []
  for (const mount of chosen) if (await store.mounts.remove(mount.name, task) === 'removed') removed.push(mount)
  return removed
}

/** The reserve is taken back at the end. */
function spaceToUse({ layout }: StoreParts): Space {
  const space = readSpace(layout.root)
  return { ...space, free: subtractSizes(space.free, missingReserve(layout)) }
}

/** An index is none itself: what the images in it say counts together. */
function readLabels({ layout }: Pick<StoreParts, 'layout'>, { id, manifest }: Pick<StockedImage, 'id' | 'manifest'>): Readonly<Record<string, string>> {
  const read = (digest: string): Buffer => readFileSync(layout.blob(parseDigest(digest)))
  if (id !== manifest) return parseImageConfig(read(id)).config?.Labels ?? {}
  const document = parseManifestDocument(read(manifest))
  const manifests = document.kind === 'index' ? document.index.manifests.map(({ digest }) => parseManifestDocument(read(digest))) : []
  return Object.fromEntries(manifests.flatMap((each) => each.kind === 'manifest' ? Object.entries(readLabels({ layout }, { id: each.manifest.config.digest, manifest: '' })) : []))
}

function describeRoot(root: Root): RemovedRoot {
  return { kind: root.kind, id: identity(root), names: root.kind === 'image' ? root.names : [], usedAtMs: root.usedAtMs }
}

function sweepLayers({ layout, database }: StoreParts, task: Task): StoredLayer[] {
  const swept: StoredLayer[] = []
  for (;;) {
    task.signal.throwIfAborted()
    const batch = database.transaction('durable', () => {
      const unneeded = findUnneededLayers(database, batchSize)
      for (const layer of unneeded) {
        if (layer.dir !== undefined) discardLayer(layout, layer.dir)
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
    const batch = database.transaction('durable', () => findUnneededBlobs(database, batchSize).map((digest) => {
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
