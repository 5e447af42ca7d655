import { TsbuildError } from '../../core/errors.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { BlobStore } from '../content-store.ts'
import type { Database, Row } from './database.ts'
import { readText } from './database.ts'
import { parseManifestColumns } from './index-json.ts'

/**
 * An image is known by its config, and one config may have several manifests: an image pushed with gzip and with zstd, or
 * in Docker's media types. The image's row has the manifest recorded last; a name that was given another one keeps it.
 */
export function keepNameManifests(database: Database, id: Digest, next: Descriptor): void {
  database.run(`INSERT OR IGNORE INTO name_manifests
    SELECT names.name, images.manifest, images.media_type, images.size FROM names JOIN images ON images.id = names.image
    WHERE images.id = ? AND images.manifest <> ?`, id, next.digest)
  database.run('DELETE FROM name_manifests WHERE manifest = ? AND name IN (SELECT name FROM names WHERE image = ?)', next.digest, id)
}

/** Points names to an image and the manifest recorded last. @returns the other images they pointed to */
export function moveNames(database: Database, names: readonly string[], id: Digest): string[] {
  const before = names.flatMap((name) => database.all('SELECT image FROM names WHERE name = ?', name).map((row) => readText(row, 'image')))
  for (const name of names) {
    database.run('DELETE FROM names WHERE name = ?', name)
    database.run('INSERT INTO names VALUES (?, ?)', name, id)
  }
  return [...new Set(before)].filter((other) => other !== id)
}

/** Notes the blobs that an image needs for all its manifests: no other is kept for it. In a transaction. */
export function recordBlobs({ database, blobs }: { readonly database: Database; readonly blobs: BlobStore }, id: string): void {
  const needed = listManifests(database, id).map((row) => readNeeded(blobs, parseManifestColumns(row)))
  // With one that cannot be read, which fsck tells, the image keeps what it had.
  if (!needed.includes(undefined)) database.run('DELETE FROM image_blobs WHERE image = ?', id)
  for (const digest of new Set(needed.flatMap((digests) => digests ?? []))) database.run('INSERT OR IGNORE INTO image_blobs VALUES (?, ?)', id, digest)
}

function listManifests(database: Database, id: string): Row[] {
  return database.all(`SELECT manifest, media_type, size FROM images WHERE id = ?1
    UNION SELECT own.manifest, own.media_type, own.size FROM names JOIN name_manifests AS own USING (name) WHERE names.image = ?1`, id)
}

/** @returns undefined when it, or a manifest in it, cannot be read */
function readNeeded(blobs: BlobStore, manifest: Descriptor): string[] | undefined {
  const list = (descriptor: Descriptor): string[] => {
    const document = parseManifestDocument(blobs.readDocumentSync(descriptor), descriptor.mediaType)
    if (document.kind === 'index') return [descriptor.digest, ...document.index.manifests.flatMap(list)]
    return [descriptor.digest, document.manifest.config.digest, ...document.manifest.layers.map(({ digest }) => digest)]
  }
  try {
    return list(manifest)
  } catch (error) {
    if (error instanceof TsbuildError) return undefined
    throw error
  }
}

/** Names with manifests of their own, as rows of the table `images`. */
export function listNameManifests(database: Database): { readonly name: string; readonly row: Row }[] {
  return database.all(`SELECT own.name, images.id, own.manifest, own.media_type, own.size, images.top_chain FROM name_manifests AS own
    JOIN names ON names.name = own.name JOIN images ON images.id = names.image`).map((row) => ({ name: readText(row, 'name'), row }))
}
