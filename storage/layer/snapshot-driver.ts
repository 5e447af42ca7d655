import type { ChainId } from '../../oci/digest.ts'
import type { Snapshot } from '../layer-store.ts'

/** How the root filesystem of a snapshot is put together. The layers that come of it are the same whichever does. */
export interface SnapshotDriver {
  /** A writable tree on top of `parent`. @throws {LayerMissing} */
  prepare(parent: ChainId | undefined): Promise<Snapshot>
}
