import { readFileSync } from 'node:fs'
import { isErrno, TsbuildError } from '../../core/errors.ts'
import { chainIds } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { MalformedDocument } from '../../oci/errors.ts'
import type { ManifestDocument } from '../../oci/manifest.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { Row } from '../records/database.ts'
import { readOptionalText, readText } from '../records/database.ts'
import { topsOfIndex } from '../records/image-rows.ts'
import { encodeIndex, parseManifestColumns } from '../records/index-json.ts'
import { listNameManifests } from '../records/name-manifests.ts'
import type { StoreParts } from '../store-parts.ts'
import type { Finding } from './finding.ts'

/** Images, and all that points to something by name. @returns how many images there are */
export function checkImages(parts: StoreParts, found: (finding: Finding) => void): number {
  const { database } = parts
  const images = database.all('SELECT * FROM images')
  for (const row of images) checkImage(parts, row, found)
  for (const { name, row } of listNameManifests(database)) if (!isSound(parts, row)) found({ check: 'name-manifest', object: name })
  for (const row of database.all('SELECT name FROM names WHERE image NOT IN (SELECT id FROM images)')) {
    found({ check: 'name-dangling', object: readText(row, 'name') })
  }
  for (const row of database.all('SELECT key FROM cache WHERE chain_id NOT IN (SELECT chain_id FROM layers)')) {
    found({ check: 'cache-dangling', object: readText(row, 'key') })
  }
  checkIndex(parts, found)
  return images.length
}

export function checkImage(parts: StoreParts, row: Row, found: (finding: Finding) => void): void {
  const object = readText(row, 'id')
  const manifest = parseManifestColumns(row)
  try {
    const document = parseManifestDocument(parts.blobs.readDocumentSync(manifest), manifest.mediaType)
    const id = document.kind === 'index' ? manifest.digest : document.manifest.config.digest
    if (id !== object) {
      found({ check: 'image-document', object, actual: manifest.digest })
      return
    }
    const recorded = readOptionalText(row, 'top_chain')
    const expected = recorded === undefined ? topsOfIndex(parts.database, object) : [recorded]
    const tops = topsOf(parts, document)
    const isStored = tops.every((top) => parts.database.get('SELECT 1 FROM layers WHERE chain_id = ?', top) !== undefined)
    if (tops.join() !== expected.join() || !isStored) found({ check: 'image-layers', object, ...(tops.length === 0 ? {} : { expected: tops.join() }) })
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error
    found({ check: 'image-document', object, actual: error.code })
  }
}

/** Whether an image, or a name that has a manifest of its own, is as it should be. */
export function isSound(parts: StoreParts, row: Row): boolean {
  const findings: Finding[] = []
  checkImage(parts, row, (finding) => { findings.push(finding) })
  return findings.length === 0
}

/** The top layers of an image, or of all images of an index, in order. */
function topsOf({ blobs }: StoreParts, document: ManifestDocument): string[] {
  const manifests = document.kind === 'manifest' ? [document.manifest] : document.index.manifests.map((descriptor) => {
    const member = parseManifestDocument(blobs.readDocumentSync(descriptor), descriptor.mediaType)
    if (member.kind === 'index') throw new MalformedDocument('manifest', 'an index in an index')
    return member.manifest
  })
  const tops = manifests.map(({ config }) => chainIds(parseImageConfig(blobs.readDocumentSync(config)).rootfs.diff_ids).at(-1))
  return [...new Set(tops.filter((top) => top !== undefined))].sort()
}

function checkIndex({ layout, database }: StoreParts, found: (finding: Finding) => void): void {
  const path = layout.index
  try {
    if (!readFileSync(path).equals(encodeIndex(database))) found({ check: 'index', object: path })
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    found({ check: 'index', object: path, actual: 'missing' })
  }
}
