import type { FileHandle } from 'node:fs/promises'
import type { Compression } from '../../oci/descriptor.ts'
import { digestAsDiffId, parseDigest } from '../../oci/digest.ts'
import type { DiffId } from '../../oci/digest.ts'
import type { Sink } from '../../native/index.ts'
import { getAddon, sinkOutcomes } from '../../native/index.ts'
import { MalformedCompression, StreamTooLarge } from '../errors.ts'

/** A thread's way for several chunks: each costs more than the bytes do. Of gzip about as much comes out as of a plain tar. */
const batchBytes = { none: 1024 * 1024, gzip: 256 * 1024 } as const

/** A tar on its way into the store, hashed and, when it comes as gzip, inflated on the threads that write it. */
export class TarFile {
  readonly #file: FileHandle
  readonly #sink: Sink
  readonly #compression: Exclude<Compression, 'zstd'>
  readonly #maxBytes: number
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #written: Promise<void> = Promise.resolve()

  /** @param file empty, and closed by `close` */
  constructor(file: FileHandle, { compression, maxBytes }: { readonly compression: Exclude<Compression, 'zstd'>; readonly maxBytes: number }) {
    this.#file = file
    this.#sink = getAddon().openSink(file.fd, compression === 'gzip', maxBytes)
    this.#compression = compression
    this.#maxBytes = maxBytes
  }

  /** Takes a chunk over, which must not change any more; resolves when more are welcome. @throws {MalformedCompression} @throws {StreamTooLarge} */
  add(chunk: Uint8Array): Promise<void> | undefined {
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.byteLength
    return this.#pendingBytes < batchBytes[this.#compression] ? undefined : this.#submit(false)
  }

  /** Call it once, when all was added. @throws {MalformedCompression} @throws {StreamTooLarge} */
  async finish(): Promise<{ readonly diffId: DiffId; readonly tarBytes: number }> {
    await this.#submit(true)
    await this.#written
    const [digest, tarBytes] = getAddon().endSink(this.#sink)
    return { diffId: digestAsDiffId(parseDigest(`sha256:${digest.toString('hex')}`)), tarBytes }
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#written])
    await this.#file.close()
  }

  /** One batch is written while the next one gathers. */
  async #submit(isLast: boolean): Promise<void> {
    const batch = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    const earlier = this.#written
    const written = earlier.then(() => this.#fill(batch, isLast))
    // Who fails meanwhile need not look at it: the next one to wait does.
    written.catch(() => undefined)
    this.#written = written
    await earlier
  }

  async #fill(batch: readonly Uint8Array[], isLast: boolean): Promise<void> {
    switch (await getAddon().fillSink(this.#sink, batch, isLast)) {
      case sinkOutcomes.taken: return
      case sinkOutcomes.malformed: throw new MalformedCompression('gzip', 'it is damaged or truncated, or something follows it')
      case sinkOutcomes.tooLarge: throw new StreamTooLarge(this.#maxBytes)
    }
  }
}
