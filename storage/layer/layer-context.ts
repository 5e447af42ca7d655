import type { BlobStore } from '../content-store.ts'
import type { LayerVerifier } from '../erofs/layer-verifier.ts'
import type { Layout } from '../root/layout.ts'
import type { LayerBlobs } from './layer-blobs.ts'
import type { LayerFormat } from './layer-format.ts'
import type { LayerRecords } from './layer-records.ts'
import type { LowerLayers } from './lower-layers.ts'

/** What the layers of one open store work with. */
export interface LayerContext {
  readonly layout: Layout
  readonly records: LayerRecords
  readonly blobs: BlobStore
  readonly layerBlobs: LayerBlobs
  readonly format: LayerFormat
  readonly lowers: LowerLayers
  /** undefined when layers are mounted as they are. */
  readonly verifier: LayerVerifier | undefined
}
