import type { ChainId } from '../../oci/digest.ts'
import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'

/** The file that holds a layer's changeset as it is, which stays as long as this store is open. @returns undefined for layers kept otherwise @throws {LayerMissing} */
export function findLayerTar(store: Store, chainId: ChainId): string | undefined {
  const { layers, layout } = getParts(store)
  const layer = layers.get(chainId)
  return layer.origin === 'indexed' && layer.dir !== undefined ? layout.layerTar(layer.dir) : undefined
}
