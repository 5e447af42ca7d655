import type { ChainId } from '../../oci/digest.ts'
import { chainId as computeChainId } from '../../oci/digest.ts'
import { discardLayer } from '../root/session.ts'
import type { LayerContext } from './layer-context.ts'
import type { LoneLayer, StoredLayer } from './stored-layer.ts'

/** Gives a layer its place. An equal one that is there already is kept instead. Its parent must be known. */
export function addLayer({ layout, records }: LayerContext, parent: ChainId | undefined, layer: LoneLayer): StoredLayer {
  const chainId = computeChainId(parent, layer.diffId)
  const found = records.find(chainId)
  if (found !== undefined) {
    if (layer.dir !== undefined) discardLayer(layout, layer.dir)
    return found
  }
  const added = { ...layer, chainId, parent }
  records.add(added)
  return added
}
