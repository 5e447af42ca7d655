import type { DiffId } from '../../../oci/digest.ts'
import { digestAsDiffId, sha256 } from '../../../oci/digest.ts'
import type { LoneLayer } from '../stored-layer.ts'

/** A changeset without entries is nothing but the end of a tar: two blocks of zeros. */
export const emptyChangeset: Uint8Array = new Uint8Array(1024)

const emptyDiffId: DiffId = digestAsDiffId(sha256(emptyChangeset))

/** Nothing is stored for it. */
export const emptyLayer: LoneLayer = {
  diffId: emptyDiffId, dir: undefined, origin: 'empty', hasRoot: false, hidesBelow: false, tarBytes: emptyChangeset.byteLength, diskBytes: 0, inodes: 0,
}
