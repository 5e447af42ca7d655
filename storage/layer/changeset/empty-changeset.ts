import type { DiffId } from '../../../oci/digest.ts'
import { parseDiffId } from '../../../oci/digest.ts'
import type { LoneLayer } from '../stored-layer.ts'

/** A changeset without entries is nothing but the end of a tar: two blocks of zeros. */
export const emptyChangeset: Uint8Array = new Uint8Array(1024)

const emptyDiffId: DiffId = parseDiffId('sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef')

/** Nothing is stored for it. */
export const emptyLayer: LoneLayer = {
  diffId: emptyDiffId, dir: undefined, origin: 'empty', hasRoot: false, hidesBelow: false, tarBytes: emptyChangeset.byteLength, diskBytes: 0, inodes: 0,
}
