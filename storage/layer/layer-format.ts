import type { Task } from '../../core/task.ts'
import type { PipeReader } from '../../native/index.ts'
import type { Compression } from '../../oci/descriptor.ts'
import type { ChainId, DiffId } from '../../oci/digest.ts'
import type { LayerOrigin, LoneLayer, StoredLayer } from './stored-layer.ts'

/** A changeset on its way into the store. */
export interface UnpackWork {
  readonly changeset: AsyncIterable<Uint8Array>
  /** What the changeset is still compressed with, if it is. */
  readonly compression?: Compression
  readonly expected: DiffId | undefined
  readonly origin: LayerOrigin
  readonly isBottom: boolean
  /** How many entries it has, where that is known before it is read. */
  readonly entries?: number | undefined
  /** The layers below that can be seen, top first; undefined while they are still on their way. */
  readonly lowers: readonly StoredLayer[] | undefined
}

/** What a snapshot's container left: an upperdir that nobody writes to any more. */
export interface ChangedTree {
  /** The snapshot's number, which the layer takes over. */
  readonly dir: string
  readonly upperdir: string
  readonly parent: ChainId | undefined
}

/**
 * How committed layers lie in the store, below `layers/`. Layers of both formats lie on each other; what depends on how
 * one is kept goes through here. Counts, names, durability and collection do not depend on it.
 */
export interface LayerFormat {
  /** Whether a changeset taken in is kept itself, whoever wrote it. */
  readonly keepsTars: boolean
  /**
   * Takes a changeset in and computes its diffID on the way. On failure nothing is left of it.
   * @returns undefined when that takes the layers below, which were not given
   * @throws {HostileArchive} @throws {DiffIdMismatch}
   */
  unpack(work: UnpackWork, task: Task): Promise<LoneLayer | undefined>
  /** Makes a layer of a changed tree. @throws {Unrepresentable} */
  commit(tree: ChangedTree, task: Task): Promise<LoneLayer>
  /** The exact bytes of a layer's changeset; whoever reads them compares the diffID. @throws {LayerDamaged} when they are gone */
  changeset(layer: StoredLayer, task: Task): Promise<AsyncIterable<Uint8Array>>
  /** The same bytes, read by somebody else. @throws {LayerDamaged} when they are gone */
  pour(layer: StoredLayer, read: PipeReader, task: Task): Promise<void>
}
