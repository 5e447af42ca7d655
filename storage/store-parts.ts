import type { BlobStore } from './content-store.ts'
import type { FormatChoice } from './erofs/choose-format.ts'
import type { LayerVerifier } from './erofs/layer-verifier.ts'
import type { DriverChoice } from './layer/choose-driver.ts'
import type { LayerBlobs } from './layer/layer-blobs.ts'
import type { LayerFormat } from './layer/layer-format.ts'
import type { LayerRecords } from './layer/layer-records.ts'
import type { LowerLayers } from './layer/lower-layers.ts'
import type { OverlayFormat } from './layer/overlay-format.ts'
import type { Database } from './records/database.ts'
import type { Layout } from './root/layout.ts'
import type { Session } from './root/session.ts'
import type { Store } from './store.ts'

/** What an open store consists of: for upkeep, which looks behind its interface. */
export interface StoreParts {
  readonly layout: Layout
  readonly database: Database
  readonly session: Session
  readonly blobs: BlobStore
  readonly layers: LayerRecords
  readonly layerBlobs: LayerBlobs
  readonly lowers: LowerLayers
  readonly verifier: LayerVerifier | undefined
  readonly formats: { readonly overlay: OverlayFormat; readonly erofs: LayerFormat }
  readonly formatChoice: FormatChoice
  readonly format: LayerFormat
  readonly driver: DriverChoice
}

const partsOf = new WeakMap<Store, StoreParts>()

export function setParts(store: Store, parts: StoreParts): void {
  partsOf.set(store, parts)
}

export function getParts(store: Store): StoreParts {
  const parts = partsOf.get(store)
  if (parts === undefined) throw new TypeError('this store was not opened by openStore')
  return parts
}
