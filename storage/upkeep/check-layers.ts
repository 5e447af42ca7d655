import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { chainId } from '../../oci/digest.ts'
import { DigestMismatch } from '../../oci/errors.ts'
import { writeIndex } from '../erofs/write-index.ts'
import { LayerDamaged } from '../errors.ts'
import { MalformedCompression } from '../compression/errors.ts'
import { HostileArchive, TreeFailure, Unrepresentable } from '../tree/errors.ts'
import { maxChangesetBytes, maxChangesetSeconds } from '../layer/layer-blobs.ts'
import { measureLayers } from '../layer/measure-layers.ts'
import type { StoredLayer } from '../layer/stored-layer.ts'
import { layerPaths, parseLayerRow } from '../layer/stored-layer.ts'
import { getParts } from '../store-parts.ts'
import type { Checking } from './finding.ts'
import { findUnneededLayers } from './garbage.ts'

/** @returns how many there are */
export async function checkLayers(checking: Checking): Promise<number> {
  const { store, found, task } = checking
  const { layout, database } = getParts(store)
  const layers = database.all('SELECT * FROM layers ORDER BY id').map(parseLayerRow)
  const isWhole = new Set<string>()
  // Rows that a sweep cut short has left: they count as absent, and nothing wants them.
  const unneeded = new Set<string>(findUnneededLayers(database, -1).map((layer) => layer.chainId))
  for (const layer of layers) {
    task.signal.throwIfAborted()
    if (chainId(layer.parent, layer.diffId) !== layer.chainId) found({ check: 'layer-chain-id', object: layer.chainId, expected: chainId(layer.parent, layer.diffId) })
    const isThere = layerPaths(layout, layer).every((path) => existsSync(path))
    const hasParent = layer.parent === undefined || isWhole.has(layer.parent)
    if (isThere && hasParent) isWhole.add(layer.chainId)
    else if (unneeded.has(layer.chainId)) continue
    else if (hasParent) found({ check: 'layer-missing', object: layer.chainId })
    else found({ check: 'layer-parent', object: layer.chainId, expected: layer.parent })
  }
  const whole = layers.filter((layer) => isWhole.has(layer.chainId))
  for (const layer of whole) await checkChangeset(checking, layer)
  await checkCounts(checking, whole)
  for (const layer of whole) if (layer.origin === 'indexed') await checkIndex(checking, layer)
  return layers.length
}

async function checkChangeset({ store, found, task }: Checking, layer: StoredLayer): Promise<void> {
  try {
    await drain(store.layers.changeset(layer.chainId, task))
    if (!await getParts(store).formats.overlay.isFaithful(layer, task)) found({ check: 'layer-tree', object: layer.chainId })
  } catch (error) {
    if (error instanceof TreeFailure || error instanceof Unrepresentable) {
      found({ check: 'layer-tree', object: layer.chainId, actual: error.code })
      return
    }
    if (error instanceof DigestMismatch || error instanceof MalformedCompression) {
      found({ check: 'layer-source', object: layer.chainId, actual: error.code })
      return
    }
    if (!(error instanceof LayerDamaged)) throw error
    if (error.actual === undefined) found({ check: 'layer-source', object: layer.chainId })
    else found({ check: 'layer-diff-id', object: layer.chainId, expected: layer.diffId, actual: error.actual })
  }
}

async function checkCounts({ store, found, task }: Checking, layers: readonly StoredLayer[]): Promise<void> {
  const sizes = await measureLayers(getParts(store).layout, layers, task)
  for (const [index, layer] of layers.entries()) {
    const actual = sizes[index]?.inodes ?? 0
    if (actual !== layer.inodes) found({ check: 'layer-inodes', object: layer.chainId, expected: layer.inodes, actual })
  }
}

/** An index is a function of its tar and of what lies below: it is made again and compared. */
async function checkIndex({ store, found, task }: Checking, layer: StoredLayer): Promise<void> {
  const { layout, session, layers, lowers } = getParts(store)
  const [path, again] = [layout.layer(layer.dir ?? ''), session.createTemporaryPath()]
  try {
    const below = lowers.mountable(layers.visibleStack(layer.parent))
    const request = { root: layout.root, tar: layout.layerTar(layer.dir ?? ''), index: again, diffId: layer.diffId, makesWhiteouts: layer.parent !== undefined, maxBytes: maxChangesetBytes, maxSeconds: maxChangesetSeconds, lowers: below }
    await writeIndex(request, task)
    if (!(await readFile(path)).equals(await readFile(again))) found({ check: 'layer-index', object: layer.chainId })
  } catch (error) {
    // Its tar is not what it was, which was found before, or what is below cannot be mounted.
    if (!(error instanceof HostileArchive || error instanceof TreeFailure)) throw error
    found({ check: 'layer-index', object: layer.chainId })
  } finally {
    await rm(again, { force: true })
  }
}

/** Reads to the end: what is wrong shows there. */
async function drain(bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const chunks = bytes[Symbol.asyncIterator]()
  for (let next = await chunks.next(); next.done !== true;) next = await chunks.next()
}
