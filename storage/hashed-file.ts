import type { FileHandle } from 'node:fs/promises'
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import { parseDigest } from '../oci/digest.ts'
import { spend } from '../oci/spent-bytes.ts'
import type { Sink, SinkOutcome } from '../native/index.ts'
import { getAddon, sinkOutcomes } from '../native/index.ts'
import type { GzipEngine } from './compression/gzip-engine.ts'
import { StreamTooLarge } from './errors.ts'
import { MalformedCompression } from './compression/errors.ts'

/** So much may wait for the batch at work. */
const batchBytes = 256 * 1024

export interface HashedFileOptions {
  readonly algorithm: DigestAlgorithm
  /** What undoes gzip before the bytes are hashed and written. */
  readonly inflater: 'none' | GzipEngine['name']
  /** So many of the first bytes are in the file already, which are hashed only. */
  readonly heldBytes: number
  readonly maxBytes: number
}

/** What was written. */
export interface WrittenFile {
  readonly digest: Digest
  readonly sizeBytes: number
}

/**
 * A file that is hashed and, if it comes as gzip, inflated on the threads that write it: its bytes pass neither the main
 * thread nor the heap.
 */
export class HashedFile {
  readonly #file: FileHandle
  readonly #sink: Sink
  readonly #options: HashedFileOptions
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #isWriting = false
  /** The batch at work. */
  #batch: Promise<void> = Promise.resolve()
  /** All that was added. */
  #written: Promise<void> = Promise.resolve()

  /** @param file is closed by `close` */
  constructor(file: FileHandle, options: HashedFileOptions) {
    this.#file = file
    this.#sink = getAddon().openSink(file.fd, options)
    this.#options = options
  }

  /**
   * Takes a chunk over, which must not change any more; resolves when more are welcome. What fails may show at a later call.
   * @throws {MalformedCompression} @throws {StreamTooLarge}
   */
  add(chunk: Uint8Array): Promise<void> | undefined {
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.byteLength
    if (!this.#isWriting) this.#written = settledLater(this.#writeAll())
    return this.#pendingBytes < batchBytes ? undefined : this.#batch
  }

  /** Instead of adding: takes all that comes through the reading end of a pipe, which is closed then. @throws {StreamTooLarge} */
  async drain(pipeFd: number): Promise<void> {
    this.#written = settledLater(this.#expectTaken(getAddon().drainIntoSink(this.#sink, pipeFd)))
    await this.#written
  }

  /** Call it once, when all was added. @throws {MalformedCompression} @throws {StreamTooLarge} */
  async finish(): Promise<WrittenFile> {
    this.#written = settledLater(this.#written.then(() => this.#fill([], true)))
    await this.#written
    const [digest, sizeBytes] = getAddon().endSink(this.#sink)
    return { digest: parseDigest(`${this.#options.algorithm}:${digest.toString('hex')}`), sizeBytes }
  }

  /** Resolves when all that was added lies in the file. */
  async flush(): Promise<void> {
    await this.#written
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#written])
    await this.#file.close()
  }

  /** What comes is written at once; what comes meanwhile gathers into the next batch. After a failure nothing more is tried. */
  async #writeAll(): Promise<void> {
    this.#isWriting = true
    while (this.#pending.length > 0) {
      const batch = this.#pending
      this.#pending = []
      this.#pendingBytes = 0
      this.#batch = settledLater(this.#fill(batch, false))
      await this.#batch
      for (const chunk of batch) spend(chunk)
    }
    this.#isWriting = false
  }

  #fill(batch: readonly Uint8Array[], isLast: boolean): Promise<void> {
    return this.#expectTaken(getAddon().fillSink(this.#sink, batch, isLast))
  }

  async #expectTaken(work: Promise<SinkOutcome>): Promise<void> {
    switch (await work) {
      case sinkOutcomes.taken: return
      case sinkOutcomes.malformed: throw new MalformedCompression('gzip', 'it is damaged or truncated, or something follows it')
      case sinkOutcomes.tooLarge: throw new StreamTooLarge(this.#options.maxBytes)
    }
  }
}

/** Who fails meanwhile need not be looked at at once: the next one to wait does. */
function settledLater(work: Promise<void>): Promise<void> {
  work.catch(() => undefined)
  return work
}
