import type { Task } from '../../core/task.ts'
import type { ChainId, DiffId } from '../../oci/digest.ts'
import { chainIds, sha256 } from '../../oci/digest.ts'
import type { Layer, Store } from '../../storage/index.ts'
import { PackedChangeset } from '../../storage/index.ts'
import { UnsuitableRequest } from '../errors.ts'
import type { BuiltImage } from '../export/image.ts'
import type { PlannedHistory } from '../plan/plan.ts'
import { clampTimes } from './clamp-times.ts'
import { squashLayers } from './squash.ts'

/** Which of the layers made by this Dockerfile become one, counted from 1; the base's stay as they are. */
export interface SquashRange {
  readonly first: number
  readonly last: number
}

export interface Restacking {
  readonly squash: SquashRange | undefined
  /** No file of the new layers is to be younger; seconds. */
  readonly epochSeconds: number | undefined
}

/** The image with its new layers made one, or their times set back; layers above are put on the new ones as they are. */
export async function restack(store: Store, image: BuiltImage, options: { readonly restacking: Restacking; readonly task: Task }): Promise<BuiltImage> {
  const { squash, epochSeconds } = options.restacking
  const squashed = squash === undefined ? image : await squashRange(store, image, { range: squash, task: options.task })
  return epochSeconds === undefined ? squashed : await setBack(store, squashed, { epochSeconds, task: options.task })
}

async function squashRange(store: Store, image: BuiltImage, { range, task }: { range: SquashRange; task: Task }): Promise<BuiltImage> {
  const { diffIds } = image.rootfs
  const below = image.planned.base?.diffIds.length ?? 0
  const own = diffIds.length - below
  const isOpen = range.last === Infinity
  const last = isOpen ? own : range.last
  const isAll = isOpen && range.first === 1
  if (!isAll && Math.max(range.first, last) > own) throw new UnsuitableRequest(`layers ${range.first} to ${isOpen ? 'the last' : last} cannot be squashed: the Dockerfile made ${own}`)
  if (last <= range.first) return image
  const chain = chainIds(diffIds)
  const start = below + range.first - 1
  const end = below + last - 1
  const top = chain[end]
  if (top === undefined) return image
  const base = chain[start - 1]
  const made = await derive(store, { key: ['squash', base ?? '', top], parent: base }, () => squashLayers(store, { base, top }, task))
  const restacked = await put(store, { kept: diffIds.slice(0, start), made: [made], above: diffIds.slice(end + 1), chainAbove: chain.slice(end + 1) }, task)
  return { ...image, rootfs: { ...image.rootfs, ...restacked }, planned: { ...image.planned, history: squashedHistory(image.planned.history, range.first, last) } }
}

/** The last of the squashed steps has the layer; the others have none any more. */
function squashedHistory(history: readonly PlannedHistory[], first: number, last: number): PlannedHistory[] {
  let layer = 0
  return history.map((entry) => {
    if (entry.node === undefined) return entry
    layer += 1
    return layer >= first && layer < last ? { ...entry, node: undefined } : entry
  })
}

async function setBack(store: Store, image: BuiltImage, { epochSeconds, task }: { epochSeconds: number; task: Task }): Promise<BuiltImage> {
  const { diffIds } = image.rootfs
  const below = image.planned.base?.diffIds.length ?? 0
  const chain = chainIds(diffIds)
  const stack: DiffId[] = diffIds.slice(0, below)
  let parent = chain[below - 1]
  for (const original of chain.slice(below)) {
    const under = parent
    const layer = await derive(store, { key: ['times', String(epochSeconds), under ?? '', original], parent: under }, () => (
      // Our own encoding with other numbers in it is our own encoding still.
      store.layers.apply(under, new PackedChangeset(clampTimes(store.layers.changeset(original, task), epochSeconds)), undefined, task)
    ))
    stack.push(layer.diffId)
    parent = layer.chainId
  }
  return { ...image, rootfs: { ...image.rootfs, diffIds: stack, chainId: parent } }
}

interface Stack {
  readonly kept: readonly DiffId[]
  readonly made: readonly Layer[]
  readonly above: readonly DiffId[]
  /** Where those above are now. */
  readonly chainAbove: readonly ChainId[]
}

async function put(store: Store, { kept, made, above, chainAbove }: Stack, task: Task): Promise<{ diffIds: readonly DiffId[]; chainId: ChainId | undefined }> {
  let parent = made.at(-1)?.chainId
  for (const [index, original] of chainAbove.entries()) {
    parent = (await store.layers.apply(parent, store.layers.changeset(original, task), above[index], task)).chainId
  }
  return { diffIds: [...kept, ...made.map(({ diffId }) => diffId), ...above], chainId: parent }
}

/** A layer that follows from others is made once and remembered like the result of a step. */
async function derive(store: Store, { key, parent }: { key: readonly string[]; parent: ChainId | undefined }, make: () => Promise<Layer>): Promise<Layer> {
  const digest = sha256(JSON.stringify(['derived', ...key]))
  const record = store.cache.find(digest)
  const found = record === undefined ? undefined : store.layers.find(record.chainId)
  if (found !== undefined && found.parent === parent) return found
  const made = await make()
  store.cache.put({ key: digest, chainId: made.chainId, payload: '{}' })
  return made
}
