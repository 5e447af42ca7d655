import { createReadStream, statSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import type { Digest } from '../../oci/digest.ts'
import { createDigester, digestAlgorithm, parseDigest } from '../../oci/digest.ts'
import { readInteger, readText } from '../records/database.ts'
import type { StoreParts } from '../store-parts.ts'
import type { Finding } from './finding.ts'

/** What a sweep that was cut short leaves: its row counts as absent, and nothing wants it. */
const isWanted = `
  SELECT 1 WHERE EXISTS (SELECT 1 FROM image_blobs WHERE digest = ?1)
    OR EXISTS (SELECT 1 FROM layer_blobs JOIN layers USING (diff_id) WHERE digest = ?1)`

/** @returns how many there are */
export async function checkBlobs({ layout, database }: StoreParts, found: (finding: Finding) => void, task: Task): Promise<number> {
  const rows = database.all('SELECT digest, size FROM blobs ORDER BY digest')
  for (const row of rows) {
    task.signal.throwIfAborted()
    const digest = parseDigest(readText(row, 'digest'))
    const expected = readInteger(row, 'size')
    const actual = fileSize(layout.blob(digest))
    if (actual === undefined) {
      if (database.get(isWanted, digest) !== undefined) found({ check: 'blob-missing', object: digest })
    } else if (actual !== expected) found({ check: 'blob-size', object: digest, expected, actual })
    else await checkDigest(layout.blob(digest), digest, found)
  }
  return rows.length
}

async function checkDigest(path: string, digest: Digest, found: (finding: Finding) => void): Promise<void> {
  const digester = createDigester(digestAlgorithm(digest))
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) digester.update(chunk as Uint8Array)
  const actual = digester.finish()
  if (actual !== digest) found({ check: 'blob-digest', object: digest, expected: digest, actual })
}

function fileSize(path: string): number | undefined {
  try {
    return statSync(path).size
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
