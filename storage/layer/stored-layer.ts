import type { ChainId } from '../../oci/digest.ts'
import { parseChainId, parseDiffId } from '../../oci/digest.ts'
import type { Layer } from '../layer-store.ts'
import type { Layout } from '../root/layout.ts'
import type { Row } from '../records/database.ts'
import { readInteger, readOptionalText, readText } from '../records/database.ts'

/**
 * How the layer came to be, which says where its exact tar is:
 * `committed` packs its directory again, with opaque marks where they hide something; `packed` too, with all marks;
 * `foreign` has a blob; `empty` has neither directory nor blob; `indexed` has no directory but its tar and an index of it.
 */
export type LayerOrigin = 'committed' | 'packed' | 'foreign' | 'empty' | 'indexed'

/** A layer, and how its directory stands for it. */
export interface StoredLayer extends Layer {
  /** Its name below layers/, of a directory or of index and tar; undefined for an empty layer. */
  readonly dir: string | undefined
  readonly origin: LayerOrigin
  /** Whether its changeset has an entry for the root directory. */
  readonly hasRoot: boolean
  /** Whether it makes everything below it invisible. */
  readonly hidesBelow: boolean
}

/** A layer in all but its place in a stack. */
export type LoneLayer = Omit<StoredLayer, 'chainId' | 'parent'>

export function parseLayerRow(row: Row): StoredLayer {
  const parent = readOptionalText(row, 'parent')
  return {
    chainId: parseChainId(readText(row, 'chain_id')),
    diffId: parseDiffId(readText(row, 'diff_id')),
    parent: parent === undefined ? undefined : parseChainId(parent),
    dir: readOptionalText(row, 'dir'),
    origin: parseOrigin(readText(row, 'origin')),
    hasRoot: readInteger(row, 'has_root') === 1,
    hidesBelow: readInteger(row, 'hides_below') === 1,
    tarBytes: readInteger(row, 'tar_bytes'),
    diskBytes: readInteger(row, 'disk_bytes'),
    inodes: readInteger(row, 'inodes'),
  }
}

/** What is there of it below layers/. */
export function layerPaths(layout: Layout, { dir, origin }: LoneLayer): string[] {
  if (dir === undefined) return []
  return origin === 'indexed' ? [layout.layer(dir), layout.layerTar(dir)] : [layout.layer(dir)]
}

const origins: readonly LayerOrigin[] = ['committed', 'packed', 'foreign', 'empty', 'indexed']

function parseOrigin(text: string): LayerOrigin {
  const origin = origins.find((known) => known === text)
  if (origin === undefined) throw new TypeError(`column "origin" holds ${JSON.stringify(text)}`)
  return origin
}

/** The layers from `top` down, as far as `find` knows them. */
export function walkDown(top: ChainId | undefined, find: (chainId: ChainId) => StoredLayer | undefined): StoredLayer[] {
  const stack: StoredLayer[] = []
  for (let layer = top === undefined ? undefined : find(top); layer !== undefined; layer = layer.parent === undefined ? undefined : find(layer.parent)) {
    stack.push(layer)
  }
  return stack
}
