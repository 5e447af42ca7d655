import { closeSync } from 'node:fs'
import type { HashedBytes, PipeReader } from '../../native/index.ts'
import { getAddon } from '../../native/index.ts'
import { gzipLevel } from './choose-gzip-engine.ts'

export interface GzipWork {
  readonly pour: (read: PipeReader) => Promise<void>
  /** Where it is written to, which stays the caller's. */
  readonly fd: number
  /** undefined is the usual one. */
  readonly level: number | undefined
}

/** Compresses by native/addon/gzip-writer.c. @returns what came, and what was written */
export async function writeGzip({ pour, fd, level }: GzipWork, onProgress: (writtenBytes: number) => void): Promise<{ readonly plain: HashedBytes; readonly packed: HashedBytes }> {
  const sides: HashedBytes[] = []
  await pour(async (readFd) => {
    try {
      sides.push(...await getAddon().writeGzip(readFd, fd, gzipLevel(level), onProgress))
    } finally {
      closeSync(readFd)
    }
  })
  const [plain, packed] = sides
  if (plain === undefined || packed === undefined) throw new TypeError('the pipe was not read')
  return { plain, packed }
}
