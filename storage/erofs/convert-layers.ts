import type { Task } from '../../core/task.ts'
import { createDigester, digestAsDiffId } from '../../oci/digest.ts'
import type { LoneLayer, StoredLayer } from '../layer/stored-layer.ts'
import { layerPaths, parseLayerRow } from '../layer/stored-layer.ts'
import { takeLock } from '../root/lock.ts'
import { discardLayer, findDeadSessions } from '../root/session.ts'
import { syncPath } from '../root/sync-path.ts'
import type { StoreParts } from '../store-parts.ts'
import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'
import { syncFilesystem } from '../tree/upkeep-trees.ts'
import { manyEntries } from '../layer/mixed-format.ts'
import type { FormatPolicy, LayerFormatName } from './choose-format.ts'
import { findSupport, storePolicy } from './choose-format.ts'
import { requireBacking } from './erofs-support.ts'

export interface ConvertReport {
  readonly converted: number
  /** Layers that were kept that way already, or have no content. */
  readonly unchanged: number
  /** Layers that other processes use; converting again later takes them. */
  readonly inUse: number
}

/** Layers that living sessions other than ours use, with all they lie on. */
const layersInUse = `
  WITH RECURSIVE used (chain_id) AS (
    SELECT key FROM leases WHERE kind = 'layer' AND session <> ? AND session NOT IN (SELECT value FROM json_each(?))
    UNION SELECT layers.parent FROM layers JOIN used ON layers.chain_id = used.chain_id WHERE layers.parent IS NOT NULL
  )
  SELECT 1 FROM used WHERE chain_id = ?`

/**
 * Keeps every layer in a format from now on, those that are there too; with `auto` those become images that would have
 * been made so. Each layer changes over by itself, so that what was broken off goes on where it was when it is called
 * again. New layers of other processes get the format when they open the store the next time.
 * @throws {FormatUnavailable} @throws {LayerDamaged}
 */
export async function convertLayers(store: Store, to: FormatPolicy, task: Task): Promise<ConvertReport> {
  const parts = getParts(store)
  const lock = await takeLock(parts.layout, { name: 'gc', exclusive: true }, task)
  try {
    const support = await findSupport(parts.database, parts.layout.trash)
    if (to === 'erofs') requireBacking(support)
    storePolicy(parts.database, to)
    const conversion = { store, parts, to: to === 'auto' && !(support.kind === 'available' && support.backing === 'file') ? 'overlay' : to, mayMount: support.kind === 'available' } as const
    const counts = { converted: 0, unchanged: 0, inUse: 0 }
    for (const layer of parts.database.all('SELECT * FROM layers ORDER BY id').map(parseLayerRow)) {
      task.signal.throwIfAborted()
      counts[await convert(conversion, layer, task)] += 1
    }
    return counts
  } finally {
    await lock[Symbol.asyncDispose]()
  }
}

interface Conversion {
  readonly store: Store
  readonly parts: StoreParts
  readonly to: FormatPolicy
  /** Whether layers can be looked into that are not unpacked. */
  readonly mayMount: boolean
}

async function convert({ store, parts, to, mayMount }: Conversion, listed: StoredLayer, task: Task): Promise<keyof ConvertReport> {
  const layer = parts.layers.find(listed.chainId)
  const wanted = layer === undefined ? undefined : formatWanted(layer, to)
  if (layer?.dir === undefined || (layer.origin === 'indexed') === (wanted === 'erofs')) return 'unchanged'
  // Layers below that are used stay what they are.
  if (isInUse(parts, layer) || (!mayMount && parts.layers.visibleStack(layer.parent).some(({ origin }) => origin === 'indexed'))) return 'inUse'
  const made = await (wanted === 'erofs' ? makeIndexed(store, layer, task) : makeUnpacked(store, layer, task))
  if (made.origin === 'indexed') await syncFiles(parts, made)
  else await syncFilesystem(parts.layout.root, task)
  const converted = { ...made, chainId: layer.chainId, parent: layer.parent }
  const isReplaced = parts.session.transaction('durable', () => {
    if (isInUse(parts, layer)) return false
    if (layer.dir !== undefined) parts.session.adoptDir(layer.dir)
    parts.database.run('UPDATE layers SET dir = ?, origin = ?, has_root = ?, hides_below = ?, disk_bytes = ?, inodes = ? WHERE chain_id = ?',
      made.dir ?? null, made.origin, Number(made.hasRoot), Number(made.hidesBelow), made.diskBytes, made.inodes, layer.chainId)
    return true
  })
  discardLayer(parts.layout, (isReplaced ? layer.dir : made.dir) ?? '')
  if (isReplaced) parts.layers.replace(converted)
  return isReplaced ? 'converted' : 'inUse'
}

/** Images stay images: which of them would be small trees nobody knows any more. Inodes count the root, entries do not. */
function formatWanted({ origin, inodes }: StoredLayer, to: FormatPolicy): LayerFormatName {
  if (to !== 'auto') return to
  return origin === 'indexed' || origin === 'foreign' || inodes > manyEntries ? 'erofs' : 'overlay'
}

function isInUse({ layout, database, session }: StoreParts, layer: StoredLayer): boolean {
  const dead = findDeadSessions(layout, database, session.id)
  return database.get(layersInUse, session.id ?? '', JSON.stringify(dead), layer.chainId) !== undefined
}

async function makeIndexed(store: Store, layer: StoredLayer, task: Task): Promise<LoneLayer> {
  const { layers, formats } = getParts(store)
  const work = { changeset: store.layers.changeset(layer.chainId, task), expected: layer.diffId, origin: 'indexed', isBottom: layer.parent === undefined, lowers: layers.visibleStack(layer.parent) } as const
  return required(await formats.erofs.unpack(work, task))
}

/** What packs to the same bytes again needs no tar beside it; else one is kept, unless some blob holds it. */
async function makeUnpacked(store: Store, layer: StoredLayer, task: Task): Promise<LoneLayer> {
  const { layers, layerBlobs, formats, layout } = getParts(store)
  const lowers = layers.visibleStack(layer.parent)
  const unpack = async (origin: 'packed' | 'foreign'): Promise<LoneLayer> => required(await formats.overlay.unpack(
    { changeset: store.layers.changeset(layer.chainId, task), expected: layer.diffId, origin, isBottom: layer.parent === undefined, lowers }, task))
  const hasBlob = (['none', 'zstd', 'gzip'] as const).some((compression) => layerBlobs.find(layer.diffId, compression) !== undefined)
  if (hasBlob) return unpack('foreign')
  const packed = await unpack('packed')
  const digester = createDigester()
  for await (const chunk of await formats.overlay.changeset({ ...packed, chainId: layer.chainId, parent: layer.parent }, task)) digester.update(chunk)
  if (digestAsDiffId(digester.finish()) === layer.diffId) return packed
  discardLayer(layout, packed.dir ?? '')
  await layerBlobs.create(layer.diffId, 'none', store.layers.changeset(layer.chainId, task))
  return unpack('foreign')
}

function required(layer: LoneLayer | undefined): LoneLayer {
  if (layer === undefined) throw new TypeError('the helper asked for lower layers that it had')
  return layer
}

async function syncFiles({ layout }: StoreParts, layer: LoneLayer): Promise<void> {
  for (const path of layerPaths(layout, layer)) await syncPath(path)
  await syncPath(layout.layers)
}
