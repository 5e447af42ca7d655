import { closeSync } from 'node:fs'
import { constants, createZstdCompress } from 'node:zlib'
import { getAddon, pipeBytes, readPipe } from '../../native/index.ts'
import type { Compression } from '../../oci/descriptor.ts'
import { gzipLevel } from './choose-gzip-engine.ts'
import { transformBytes } from './transform-bytes.ts'

/** Equal bytes give equal bytes, as long as the engine is the same: zlib, which a level asks for, or ISA-L. */
export function compress(bytes: AsyncIterable<Uint8Array>, compression: Compression, level?: number): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none': return bytes
    case 'gzip': return gzip(bytes, gzipLevel(level))
    case 'zstd': return transformBytes(createZstdCompress({ chunkSize: 256 * 1024, ...(level === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: level } }) }), bytes)
  }
}

/** One member, by native/addon/gzip-writer.c. */
async function* gzip(bytes: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Uint8Array, void, undefined> {
  await using source = pipeBytes(bytes)
  const [readFd, writeFd] = getAddon().pipe(0)
  const written = getAddon().writeGzip(source.fd, writeFd, level, () => undefined)
  // It is awaited at the end; until then a failure is not unhandled.
  written.catch(() => undefined)
  closeSync(writeFd)
  yield* readPipe(readFd)
  await written
  await source.ended()
}
