import { closeSync } from 'node:fs'
import { constants, createZstdCompress } from 'node:zlib'
import type { PipeReader } from '../../native/index.ts'
import { getAddon, pourBytes, readPipe } from '../../native/index.ts'
import type { Compression } from '../../oci/descriptor.ts'
import { transformBytes } from './transform-bytes.ts'
import { writeGzip } from './write-gzip.ts'

/** Equal bytes give equal bytes, as long as the engine is the same: zlib, which a level asks for, or ISA-L. */
export function compress(bytes: AsyncIterable<Uint8Array>, compression: Compression, level?: number): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none': return bytes
    case 'gzip': return gzip(bytes, level)
    case 'zstd': return transformBytes(createZstdCompress({ chunkSize: 256 * 1024, ...(level === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: level } }) }), bytes)
  }
}

async function* gzip(bytes: AsyncIterable<Uint8Array>, level: number | undefined): AsyncGenerator<Uint8Array, void, undefined> {
  const [readFd, writeFd] = getAddon().pipe(0)
  const work = { pour: (read: PipeReader) => pourBytes(bytes, read), fd: writeFd, level }
  const written = writeGzip(work, () => undefined).finally(() => { closeSync(writeFd) })
  // It is awaited at the end; until then a failure is not unhandled.
  written.catch(() => undefined)
  try {
    yield* readPipe(readFd)
  } finally {
    await Promise.allSettled([written])
  }
  await written
}
