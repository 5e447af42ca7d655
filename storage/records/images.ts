import type { Descriptor } from '../../oci/descriptor.ts'
import type { ChainId, Digest } from '../../oci/digest.ts'
import { chainIds, parseChainId, parseDigest } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { BlobStore } from '../content-store.ts'
import { AmbiguousId, ImageIncomplete } from '../errors.ts'
import type { LayerRecords } from '../layer/layer-records.ts'
import type { Layout } from '../root/layout.ts'
import type { Session } from '../root/session.ts'
import type { ImageStore, StoredImage } from '../store.ts'
import type { Database, Row } from './database.ts'
import { readInteger, readOptionalText, readText } from './database.ts'
import { parseManifestColumns, writeIndex } from './index-json.ts'

interface Parts {
  readonly layout: Layout
  readonly database: Database
  readonly session: Session
  readonly blobs: BlobStore
  readonly layers: LayerRecords
}

export class Images implements ImageStore {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  find(nameOrId: string): StoredImage | undefined {
    const { database } = this.#parts
    const named = database.get('SELECT images.* FROM names JOIN images ON images.id = names.image WHERE names.name = ?', nameOrId)
    if (named !== undefined) return this.#parseRow(named)
    const prefix = /^(?:sha256:)?([0-9a-f]{1,64})$/u.exec(nameOrId)?.[1]
    if (prefix === undefined) return undefined
    const found = database.all('SELECT * FROM images WHERE id >= ? AND id < ? LIMIT 3', `sha256:${prefix}`, `sha256:${prefix}g`).map((row) => this.#parseRow(row))
    if (found.length > 1) throw new AmbiguousId(nameOrId, found.map((image) => image.id))
    return found[0]
  }

  list(): StoredImage[] {
    return this.#parts.database.all('SELECT * FROM images ORDER BY created_ms DESC, id').map((row) => this.#parseRow(row))
  }

  lease(id: Digest): boolean {
    const { database, session, layers } = this.#parts
    return session.transaction('quick', () => {
      const row = database.get('SELECT top_chain FROM images WHERE id = ?', id)
      if (row === undefined) return false
      for (const blob of database.all('SELECT digest FROM image_blobs WHERE image = ?', id)) session.lease('blob', readText(blob, 'digest'))
      const top = readOptionalText(row, 'top_chain')
      if (top !== undefined) layers.findInTransaction(parseChainId(top))
      return true
    })
  }

  put(manifest: Descriptor, configDigest: Digest, names: readonly string[]): StoredImage {
    const { database, session } = this.#parts
    const createdAtMs = Date.now()
    session.transaction('durable', () => {
      const document = this.#readManifest(manifest, configDigest)
      const top = this.#checkLayers(manifest, document)
      database.run('INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?)', configDigest, manifest.digest, manifest.mediaType, manifest.size, top ?? null, createdAtMs)
      database.run('DELETE FROM image_blobs WHERE image = ?', configDigest)
      for (const digest of new Set([manifest.digest, configDigest, ...document.layers.map((layer) => layer.digest)])) {
        database.run('INSERT INTO image_blobs VALUES (?, ?)', configDigest, digest)
      }
      for (const name of names) database.run('INSERT OR REPLACE INTO names VALUES (?, ?)', name, configDigest)
      writeIndex(this.#parts.layout, database)
    })
    return { id: configDigest, manifest, names: this.#namesOf(configDigest), createdAtMs }
  }

  untag(name: string): boolean {
    const { database, session, layout } = this.#parts
    return session.transaction('durable', () => {
      const wasThere = database.run('DELETE FROM names WHERE name = ?', name) > 0
      if (wasThere) writeIndex(layout, database)
      return wasThere
    })
  }

  remove(id: Digest): void {
    const { database, session, layout } = this.#parts
    session.transaction('durable', () => {
      database.run('DELETE FROM names WHERE image = ?', id)
      database.run('DELETE FROM image_blobs WHERE image = ?', id)
      if (database.run('DELETE FROM images WHERE id = ?', id) > 0) writeIndex(layout, database)
    })
  }

  #readManifest(manifest: Descriptor, configDigest: Digest): Manifest {
    const document = parseManifestDocument(this.#parts.blobs.readDocumentSync(manifest), manifest.mediaType)
    if (document.kind === 'index') throw new ImageIncomplete(manifest.digest, 'it is an index, and one of its manifests is wanted')
    if (document.manifest.config.digest !== configDigest) {
      throw new ImageIncomplete(manifest.digest, `its config is "${document.manifest.config.digest}", not "${configDigest}"`)
    }
    return document.manifest
  }

  /** @returns the chainID of the top layer; undefined for an image without layers */
  #checkLayers(manifest: Descriptor, document: Manifest): ChainId | undefined {
    const { layers, blobs } = this.#parts
    const config = parseImageConfig(blobs.readDocumentSync(document.config))
    const chain = chainIds(config.rootfs.diff_ids)
    const top = chain.at(-1)
    if (chain.length !== document.layers.length) throw new ImageIncomplete(manifest.digest, `it has ${document.layers.length} layers, its config ${chain.length} diff_ids`)
    if (top === undefined) return undefined
    if (layers.findInTransaction(top) === undefined) throw new ImageIncomplete(manifest.digest, `its layer "${top}" is not in the store`)
    if (!layers.isRecorded(top)) throw new ImageIncomplete(manifest.digest, `its layer "${top}" is not durable yet`)
    return top
  }

  #namesOf(id: string): string[] {
    return this.#parts.database.all('SELECT name FROM names WHERE image = ? ORDER BY name', id).map((row) => readText(row, 'name'))
  }

  #parseRow(row: Row): StoredImage {
    const id = parseDigest(readText(row, 'id'))
    return { id, manifest: parseManifestColumns(row), names: this.#namesOf(id), createdAtMs: readInteger(row, 'created_ms') }
  }
}
