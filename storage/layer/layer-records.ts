import { existsSync } from 'node:fs'
import type { ChainId } from '../../oci/digest.ts'
import { LayerMissing } from '../errors.ts'
import type { Database } from '../records/database.ts'
import type { Layout } from '../root/layout.ts'
import type { Session } from '../root/session.ts'
import type { StoredLayer } from './stored-layer.ts'
import { layerPaths, parseLayerRow, walkDown } from './stored-layer.ts'

/**
 * The layers this session knows: those it found, which are leased with all below them, and those it made, which other
 * processes find when they are recorded, and they are recorded when they are durable.
 */
export class LayerRecords {
  readonly #layout: Layout
  readonly #database: Database
  readonly #session: Session
  readonly #known = new Map<ChainId, StoredLayer>()
  readonly #unrecorded = new Set<ChainId>()

  constructor(layout: Layout, database: Database, session: Session) {
    this.#layout = layout
    this.#database = database
    this.#session = session
  }

  find(chainId: ChainId): StoredLayer | undefined {
    return this.#known.get(chainId) ?? this.#session.transaction('quick', () => this.findInTransaction(chainId))
  }

  /** The same in a transaction of the caller's. */
  findInTransaction(chainId: ChainId): StoredLayer | undefined {
    const known = this.#known.get(chainId)
    if (known !== undefined) return known
    const stack = walkDown(chainId, (id) => this.#known.get(id) ?? this.#load(id))
    const bottom = stack.at(-1)
    if (bottom === undefined || bottom.parent !== undefined) return undefined
    this.#session.lease('layer', chainId)
    for (const layer of stack) this.#known.set(layer.chainId, layer)
    return stack[0]
  }

  /** @throws {LayerMissing} */
  get(chainId: ChainId): StoredLayer {
    const found = this.find(chainId)
    if (found === undefined) throw new LayerMissing(chainId)
    return found
  }

  /** A layer and all below it that can be seen and have content, top first. @throws {LayerMissing} */
  visibleStack(chainId: ChainId | undefined): StoredLayer[] {
    const stack = walkDown(chainId, (id) => this.get(id))
    const hiding = stack.findIndex((layer) => layer.hidesBelow)
    const visible = hiding === -1 ? stack : stack.slice(0, hiding + 1)
    return visible.filter((layer) => layer.dir !== undefined)
  }

  /** A layer just made, whose parents are known. */
  add(layer: StoredLayer): void {
    this.#known.set(layer.chainId, layer)
    this.#unrecorded.add(layer.chainId)
  }

  /** A recorded layer that is kept in another way from now on. */
  replace(layer: StoredLayer): void {
    this.#known.set(layer.chainId, layer)
  }

  isRecorded(chainId: ChainId): boolean {
    return this.find(chainId) !== undefined && !this.#unrecorded.has(chainId)
  }

  /** Layers made and not recorded, parents first. */
  unrecorded(): StoredLayer[] {
    return [...this.#unrecorded].flatMap((chainId) => this.#known.get(chainId) ?? [])
  }

  /** Makes durable layers known to all. In a transaction; what another process recorded meanwhile stays as it is. */
  record(layers: readonly StoredLayer[]): void {
    const now = Date.now()
    for (const layer of layers) {
      const other = this.#load(layer.chainId)
      if (other === undefined) {
        this.#database.run(
          'INSERT INTO layers (chain_id, diff_id, parent, dir, origin, has_root, hides_below, tar_bytes, disk_bytes, inodes, created_ms, used_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
          layer.chainId, layer.diffId, layer.parent ?? null, layer.dir ?? null, layer.origin, Number(layer.hasRoot), Number(layer.hidesBelow),
          layer.tarBytes, layer.diskBytes, layer.inodes, now, now,
        )
      }
      this.#session.lease('layer', layer.chainId)
    }
  }

  /** What is known of a layer does not hold any more; its row does. */
  forget(chainId: ChainId): void {
    this.#known.delete(chainId)
  }

  /** After the transaction of `record`. */
  markRecorded(layers: readonly StoredLayer[]): void {
    for (const layer of layers) this.#unrecorded.delete(layer.chainId)
  }

  /** A row whose directory or files are gone is no layer; it is forgotten, so that the layer can be made again. */
  #load(chainId: ChainId): StoredLayer | undefined {
    const row = this.#database.get('SELECT * FROM layers WHERE chain_id = ?', chainId)
    if (row === undefined) return undefined
    const layer = parseLayerRow(row)
    if (layerPaths(this.#layout, layer).every((path) => existsSync(path))) return layer
    this.#database.run('DELETE FROM layers WHERE chain_id = ?', chainId)
    return undefined
  }
}
