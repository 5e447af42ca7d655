import type { Descriptor } from '../../oci/descriptor.ts'
import type { ChainId, Digest } from '../../oci/digest.ts'
import { chainIds, parseChainId, parseDigest } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import type { Manifest, ManifestDocument } from '../../oci/manifest.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { BlobStore } from '../content-store.ts'
import { AmbiguousId, ImageIncomplete } from '../errors.ts'
import type { LayerRecords } from '../layer/layer-records.ts'
import type { Layout } from '../root/layout.ts'
import type { Session } from '../root/session.ts'
import type { ImageStore, StoredImage } from '../store.ts'
import type { Database, Row } from './database.ts'
import { readInteger, readOptionalText, readText } from './database.ts'
import { deleteImageRows, topsOfIndex } from './image-rows.ts'
import { parseManifestColumns, writeIndex } from './index-json.ts'
import { keepNameManifests, moveNames, recordBlobs } from './name-manifests.ts'

interface Parts {
  readonly layout: Layout
  readonly database: Database
  readonly session: Session
  readonly blobs: BlobStore
  readonly layers: LayerRecords
}

interface Member {
  readonly descriptor: Descriptor
  readonly document: Manifest
}

export class Images implements ImageStore {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  find(nameOrId: string): StoredImage | undefined {
    const { database } = this.#parts
    const named = database.get('SELECT images.* FROM names JOIN images ON images.id = names.image WHERE names.name = ?', nameOrId)
    if (named !== undefined) {
      const own = database.get('SELECT * FROM name_manifests WHERE name = ?', nameOrId)
      return { ...this.#parseRow(named), ...(own === undefined ? {} : { manifest: parseManifestColumns(own) }) }
    }
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
      for (const each of top === undefined ? topsOfIndex(database, id) : [top]) layers.findInTransaction(parseChainId(each))
      return true
    })
  }

  put(manifest: Descriptor, id: Digest, names: readonly string[]): StoredImage {
    const { database, session } = this.#parts
    const createdAtMs = Date.now()
    const image: StoredImage = { id, manifest, names: [], createdAtMs }
    if (session.transaction('quick', () => this.#putAgain(image, names))) return { ...image, names: this.#namesOf(id) }
    session.transaction('durable', () => {
      const members = this.#readMembers(manifest, id)
      const tops = new Set(members.map((member) => this.#checkLayers(member)).filter((top) => top !== undefined))
      const [only] = manifest.digest === id ? [] : tops
      keepNameManifests(database, id, manifest)
      database.run('INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?)', id, manifest.digest, manifest.mediaType, manifest.size, only ?? null, createdAtMs)
      database.run('DELETE FROM image_tops WHERE image = ?', id)
      if (manifest.digest === id) for (const top of tops) database.run('INSERT INTO image_tops VALUES (?, ?)', id, top)
      for (const renamed of [id, ...moveNames(database, names, id)]) recordBlobs(this.#parts, renamed)
      writeIndex(this.#parts.layout, database)
    })
    return { ...image, names: this.#namesOf(id) }
  }

  untag(name: string): boolean {
    const { database, session, layout } = this.#parts
    return session.transaction('durable', () => {
      const row = database.get('SELECT image FROM names WHERE name = ?', name)
      if (row === undefined) return false
      database.run('DELETE FROM names WHERE name = ?', name)
      recordBlobs(this.#parts, readText(row, 'image'))
      writeIndex(layout, database)
      return true
    })
  }

  remove(id: Digest): void {
    const { database, session, layout } = this.#parts
    session.transaction('durable', () => {
      if (deleteImageRows(database, id)) writeIndex(layout, database)
    })
  }

  /** What changes nothing but a time needs no flush, which a build that finds everything cached would wait for. @returns whether that is so */
  #putAgain({ id, manifest, createdAtMs }: StoredImage, names: readonly string[]): boolean {
    const { database } = this.#parts
    const isThere = names.every((name) => database.get('SELECT 1 FROM names WHERE name = ? AND image = ? AND name NOT IN (SELECT name FROM name_manifests)', name, id) !== undefined)
    return isThere && database.run('UPDATE images SET created_ms = ? WHERE id = ? AND manifest = ? AND media_type = ? AND size = ?', createdAtMs, id, manifest.digest, manifest.mediaType, manifest.size) > 0
  }

  /** The image itself, or those of the index. */
  #readMembers(manifest: Descriptor, id: Digest): Member[] {
    const document = this.#readDocument(manifest)
    if (document.kind === 'manifest') {
      if (document.manifest.config.digest !== id) throw new ImageIncomplete(manifest.digest, `its config is "${document.manifest.config.digest}", not "${id}"`)
      return [{ descriptor: manifest, document: document.manifest }]
    }
    if (manifest.digest !== id) throw new ImageIncomplete(manifest.digest, 'it is an index, and one of its manifests is wanted')
    return document.index.manifests.map((descriptor) => {
      const member = this.#readDocument(descriptor)
      if (member.kind === 'index') throw new ImageIncomplete(manifest.digest, `"${descriptor.digest}" in it is an index too`)
      return { descriptor, document: member.manifest }
    })
  }

  #readDocument(descriptor: Descriptor): ManifestDocument {
    return parseManifestDocument(this.#parts.blobs.readDocumentSync(descriptor), descriptor.mediaType)
  }

  /** @returns the chainID of the top layer; undefined for an image without layers */
  #checkLayers({ descriptor: manifest, document }: Member): ChainId | undefined {
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
