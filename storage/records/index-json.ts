import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { parseDigest } from '../../oci/digest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import type { Layout } from '../root/layout.ts'
import type { Database, Row } from './database.ts'
import { readInteger, readText } from './database.ts'

const completeImages = `
  SELECT names.name, COALESCE(own.manifest, images.manifest) AS manifest, COALESCE(own.media_type, images.media_type) AS media_type, COALESCE(own.size, images.size) AS size
  FROM images LEFT JOIN names ON names.image = images.id LEFT JOIN name_manifests AS own ON own.name = names.name
  WHERE NOT EXISTS (SELECT 1 FROM image_blobs LEFT JOIN blobs USING (digest) WHERE image_blobs.image = images.id AND blobs.digest IS NULL)
  ORDER BY images.id, names.name`

/** What index.json should say: the images of which every blob is there, so that other tools can read them. */
export function encodeIndex(database: Database): Uint8Array {
  const manifests = database.all(completeImages).map((row): Descriptor => {
    const name = row['name']
    return { ...parseManifestColumns(row), ...(typeof name === 'string' ? { annotations: { 'org.opencontainers.image.ref.name': name } } : {}) }
  })
  return encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
}

/**
 * It follows from the database, so that losing it loses nothing. In a transaction, which keeps writers apart; it takes its
 * place when that is committed. Whoever dies between leaves the new one lying, which tells that the old one may be wrong.
 */
export function writeIndex(layout: Layout, database: Database): void {
  writeFileSync(layout.newIndex, encodeIndex(database))
  database.afterCommit(() => {
    try {
      renameSync(layout.newIndex, layout.index)
    } catch (error) {
      // Another process has put it, or a later one, there.
      if (!isErrno(error, 'ENOENT')) throw error
    }
  })
}

/** Writes it again when somebody died over it, or power was lost before its bytes were on the disk: nobody waits for that. */
export function restoreIndex(layout: Layout, database: Database): void {
  const isEmpty = statSync(layout.index, { throwIfNoEntry: false })?.size === 0
  if (isEmpty || existsSync(layout.newIndex)) database.transaction('quick', () => { writeIndex(layout, database) })
}

/** Of a row of the table `images` or `name_manifests`. */
export function parseManifestColumns(row: Row): Descriptor {
  return { mediaType: readText(row, 'media_type'), digest: parseDigest(readText(row, 'manifest')), size: readInteger(row, 'size') }
}
