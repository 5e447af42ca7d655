import type { Task } from '../../core/task.ts'
import type { ChainId } from '../../oci/digest.ts'
import { FormatUnavailable } from '../errors.ts'
import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'
import { mountLayers } from './mount-layers.ts'

/**
 * Shows a layer and all below it read-only at a directory, until somebody unmounts it. The kernel holds the files of the
 * mount, so that collecting the layers does not harm it; nothing would hold those of unpacked layers, which are refused.
 * @throws {LayerMissing} @throws {LayerDamaged} @throws {FormatUnavailable}
 */
export async function mountImage(store: Store, { top, directory }: { readonly top: ChainId | undefined; readonly directory: string }, task: Task): Promise<void> {
  const { layers, lowers, verifier } = getParts(store)
  const stack = layers.visibleStack(top)
  if (stack.some((layer) => layer.origin !== 'indexed')) {
    throw new FormatUnavailable('overlay', 'nothing would keep its unpacked layers from being collected while they are mounted; "tsbuild store convert --to erofs" makes them mountable')
  }
  await verifier?.verify(stack, task)
  await mountLayers(lowers.mountable(stack), directory, task)
}
