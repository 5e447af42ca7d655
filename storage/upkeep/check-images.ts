import { readFileSync } from 'node:fs'
import { isErrno, TsbuildError } from '../../core/errors.ts'
import { chainIds } from '../../oci/digest.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { Row } from '../records/database.ts'
import { readOptionalText, readText } from '../records/database.ts'
import { encodeIndex, parseManifestColumns } from '../records/index-json.ts'
import type { StoreParts } from '../store-parts.ts'
import type { Finding } from './finding.ts'

/** Images, and all that points to something by name. @returns how many images there are */
export function checkImages(parts: StoreParts, found: (finding: Finding) => void): number {
  const { database } = parts
  const images = database.all('SELECT * FROM images')
  for (const row of images) checkImage(parts, row, found)
  for (const row of database.all('SELECT name FROM names WHERE image NOT IN (SELECT id FROM images)')) {
    found({ check: 'name-dangling', object: readText(row, 'name') })
  }
  for (const row of database.all('SELECT key FROM cache WHERE chain_id NOT IN (SELECT chain_id FROM layers)')) {
    found({ check: 'cache-dangling', object: readText(row, 'key') })
  }
  checkIndex(parts, found)
  return images.length
}

export function checkImage({ blobs, database }: StoreParts, row: Row, found: (finding: Finding) => void): void {
  const object = readText(row, 'id')
  const manifest = parseManifestColumns(row)
  try {
    const document = parseManifestDocument(blobs.readDocumentSync(manifest), manifest.mediaType)
    if (document.kind === 'index' || document.manifest.config.digest !== object) {
      found({ check: 'image-document', object, actual: manifest.digest })
      return
    }
    const top = chainIds(parseImageConfig(blobs.readDocumentSync(document.manifest.config)).rootfs.diff_ids).at(-1)
    const expected = readOptionalText(row, 'top_chain')
    const isStored = top === undefined || database.get('SELECT 1 FROM layers WHERE chain_id = ?', top) !== undefined
    if (top !== expected || !isStored) found({ check: 'image-layers', object, ...(top === undefined ? {} : { expected: top }) })
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error
    found({ check: 'image-document', object, actual: error.code })
  }
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
