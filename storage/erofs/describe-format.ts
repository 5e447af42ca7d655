import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'
import type { AskedPolicy, LayerFormatName } from './choose-format.ts'
import { trySupport } from './choose-format.ts'
import type { ErofsSupport } from './erofs-support.ts'

export interface FormatDescription {
  /** What new layers are kept as. */
  readonly chosen: AskedPolicy
  /** For people: why so. */
  readonly reason: string
  readonly erofs: ErofsSupport
  readonly layers: Readonly<Record<LayerFormatName, number>>
}

/** How a store keeps its layers, and whether it could keep them as EROFS images, which is tried. */
export async function describeFormat(store: Store): Promise<FormatDescription> {
  const { database, layout, formatChoice: { policy, reason } } = getParts(store)
  const count = (condition: string): number => Number(database.get(`SELECT count(*) AS layers FROM layers WHERE dir IS NOT NULL AND ${condition}`)?.['layers'] ?? 0)
  return {
    chosen: policy,
    reason,
    erofs: await trySupport(database, layout.trash),
    layers: { overlay: count("origin <> 'indexed'"), erofs: count("origin = 'indexed'") },
  }
}
