import { parseChainId } from '../../oci/digest.ts'
import type { LayerRecords } from '../layer/layer-records.ts'
import type { Session } from '../root/session.ts'
import type { CacheRecord, CacheRecords } from '../store.ts'
import type { Database } from './database.ts'
import { readInteger, readText } from './database.ts'

/** Cache entries are recorded together with the layers they name, which have to be durable first. */
export class CacheEntries implements CacheRecords {
  readonly #database: Database
  readonly #session: Session
  readonly #layers: LayerRecords
  readonly #unrecorded = new Map<string, CacheRecord>()

  constructor(parts: { readonly database: Database; readonly session: Session; readonly layers: LayerRecords }) {
    this.#database = parts.database
    this.#session = parts.session
    this.#layers = parts.layers
  }

  find(key: string): CacheRecord | undefined {
    return this.#unrecorded.get(key) ?? this.#session.transaction('quick', () => this.#findRecorded(key))
  }

  put(record: Omit<CacheRecord, 'createdAtMs'>): void {
    this.#layers.get(record.chainId)
    this.#unrecorded.set(record.key, { ...record, createdAtMs: Date.now() })
  }

  hasUnrecorded(): boolean {
    return this.#unrecorded.size > 0
  }

  /** Writes the entries whose layers are recorded by now. In a transaction. */
  record(): void {
    for (const { key, chainId, payload, createdAtMs } of this.#unrecorded.values()) {
      if (this.#database.get('SELECT 1 FROM layers WHERE chain_id = ?', chainId) === undefined) continue
      this.#database.run('INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?, ?)', key, chainId, payload, createdAtMs, createdAtMs)
    }
  }

  /** After the transaction of `record`. */
  markRecorded(): void {
    for (const { key, chainId } of this.#unrecorded.values()) if (this.#layers.isRecorded(chainId)) this.#unrecorded.delete(key)
  }

  #findRecorded(key: string): CacheRecord | undefined {
    const row = this.#database.get('SELECT chain_id, payload, created_ms FROM cache WHERE key = ?', key)
    if (row === undefined) return undefined
    const chainId = parseChainId(readText(row, 'chain_id'))
    if (this.#layers.findInTransaction(chainId) === undefined) return undefined
    this.#database.run('UPDATE cache SET used_ms = ? WHERE key = ?', Date.now(), key)
    return { key, chainId, payload: readText(row, 'payload'), createdAtMs: readInteger(row, 'created_ms') }
  }
}
