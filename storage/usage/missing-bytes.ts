import { statSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { incomingPath } from '../root/incoming-file.ts'
import { getParts } from '../store-parts.ts'
import type { Store } from '../store.ts'

/** How many bytes of the blobs, each once, the store does not have yet. */
export function countMissingBytes(store: Store, blobs: readonly Descriptor[]): number {
  const { layout } = getParts(store)
  const distinct = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()]
  return distinct.filter(({ digest }) => store.content.find(digest) === undefined).reduce((sum, { digest, size }) => sum + Math.max(0, size - sizeOf(incomingPath(layout, digest))), 0)
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0
    throw error
  }
}
