import { createHash, hash } from 'node:crypto'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { FileContent } from '../../storage/index.ts'

const slab = Buffer.allocUnsafe(1024 * 1024)

/** The SHA-256 of a file's bytes, in hexadecimal. Reads synchronously: with warm caches that is several times faster. */
export function contentDigest(content: FileContent): string {
  if (content.kind === 'bytes') return hash('sha256', content.bytes)
  const path = content.kind === 'host' ? Buffer.concat([Buffer.from(join(content.root, '/')), content.path]) : Buffer.from(content.file)
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    return digestRange(fd, content.kind === 'range' ? content.offset : 0, content.sizeBytes)
  } finally {
    closeSync(fd)
  }
}

function digestRange(fd: number, start: number, sizeBytes: number): string {
  const first = readSync(fd, slab, 0, Math.min(slab.length, sizeBytes), start)
  if (first === sizeBytes) return hash('sha256', slab.subarray(0, first))
  const digest = createHash('sha256')
  let done = first
  digest.update(slab.subarray(0, first))
  while (done < sizeBytes) {
    const length = readSync(fd, slab, 0, Math.min(slab.length, sizeBytes - done), start + done)
    if (length === 0) break
    digest.update(slab.subarray(0, length))
    done += length
  }
  return digest.digest('hex')
}

