import type { Limit } from '../../core/limit.ts'
import { allOrNone, createLimit } from '../../core/limit.ts'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { ChainId, DiffId } from '../../oci/digest.ts'
import { chainIds } from '../../oci/digest.ts'
import { MalformedDocument } from '../../oci/errors.ts'
import type { Layer, Store } from '../../storage/index.ts'
import { countMissingBytes, readSpace } from '../../storage/index.ts'
import { NoRoom } from '../errors.ts'

/** The layers of an image, bottom first, and where to get the blobs of those the store lacks. */
export interface LayerSource<E> {
  readonly layers: readonly Descriptor[]
  readonly diffIds: readonly DiffId[]
  readonly maxConcurrent: number
  /** The blob's bytes from one of them on; the others are in the store already. */
  readonly open: (part: { readonly blob: Descriptor; readonly fromByte: number }, task: Task<E>) => AsyncIterable<Uint8Array>
  /** Whether fetching again may give the right bytes, from another mirror. */
  readonly isWorthRetrying: (error: unknown) => boolean
}

interface Wanted {
  readonly blob: Descriptor
  readonly diffId: DiffId
  readonly chainId: ChainId
  readonly parent: ChainId | undefined
}

/**
 * Brings all layers of an image into the store, several at a time, fetching only what is not there. A blob that is in the
 * store already is read from there. The first failure stops the others.
 * @throws {NoRoom} before anything is fetched
 */
export async function ensureLayers<E>(store: Store, source: LayerSource<E>, task: Task<E>): Promise<void> {
  const missing = listLayers(source).filter(({ chainId }) => store.layers.find(chainId) === undefined)
  if (missing.length === 0) return
  refuseWithoutRoom(store, missing.map(({ blob }) => blob))
  const siblings = new AbortController()
  const signal = AbortSignal.any([task.signal, siblings.signal])
  const limit: Limit = createLimit(source.maxConcurrent, signal)
  const work = missing.map((wanted) => limit(() => ingest(store, { source, wanted }, { signal, emit: task.emit })))
  await allOrNone(work, (reason) => { siblings.abort(reason) })
}

/** What unpacking takes comes on top, and nobody knows it before. */
function refuseWithoutRoom(store: Store, blobs: readonly Descriptor[]): void {
  const neededBytes = countMissingBytes(store, blobs)
  const { bytes: freeBytes } = readSpace(store.root).free
  if (neededBytes > freeBytes) throw new NoRoom(store.root, { neededBytes, freeBytes })
}

function listLayers({ layers, diffIds }: Pick<LayerSource<never>, 'layers' | 'diffIds'>): Wanted[] {
  if (layers.length !== diffIds.length) throw new MalformedDocument('image config', `it lists ${diffIds.length} layers and the manifest ${layers.length}`)
  const chain = chainIds(diffIds)
  return layers.flatMap((blob, index) => {
    const diffId = diffIds[index]
    const chainId = chain[index]
    return diffId === undefined || chainId === undefined ? [] : [{ blob, diffId, chainId, parent: chain[index - 1] }]
  })
}

async function ingest<E>(store: Store, { source, wanted }: { source: LayerSource<E>; wanted: Wanted }, task: Task<E>): Promise<Layer> {
  const { blob, diffId, parent } = wanted
  const quiet = silent(task)
  for (;;) {
    try {
      return await store.ingestLayer({ parent, blob, bytes: (fromByte) => source.open({ blob, fromByte }, task), diffId }, quiet)
    } catch (error) {
      if (!source.isWorthRetrying(error)) throw error
    }
  }
}
