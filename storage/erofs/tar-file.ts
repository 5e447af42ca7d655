import type { FileHandle } from 'node:fs/promises'

const batchBytes = 1024 * 1024

/** A tar on its way into the store. Chunks are written several at a time: a call for each costs more than the bytes do. */
export class TarFile {
  readonly #file: FileHandle
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #written: Promise<void> = Promise.resolve()
  #length = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  get length(): number {
    return this.#length
  }

  /** Takes a chunk over, which must not change any more; resolves when more are welcome. */
  add(chunk: Uint8Array): Promise<void> | undefined {
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.byteLength
    this.#length += chunk.byteLength
    return this.#pendingBytes < batchBytes ? undefined : this.#submit()
  }

  async flush(): Promise<void> {
    await this.#submit()
    await this.#written
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#written])
    await this.#file.close()
  }

  /** One batch is written while the next one gathers. */
  async #submit(): Promise<void> {
    const batch = this.#pending
    const start = this.#length - this.#pendingBytes
    this.#pending = []
    this.#pendingBytes = 0
    const earlier = this.#written
    const written = earlier.then(() => this.#write(batch, start))
    // Who fails meanwhile need not look at it: the next one to wait does.
    written.catch(() => undefined)
    this.#written = written
    await earlier
  }

  async #write(batch: readonly Uint8Array[], start: number): Promise<void> {
    let rest = batch.filter((chunk) => chunk.byteLength > 0)
    for (let at = start; rest.length > 0;) {
      const { bytesWritten } = await this.#file.writev(rest, at)
      at += bytesWritten
      rest = dropBytes(rest, bytesWritten)
    }
  }
}

function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count
  return chunks.flatMap((chunk) => {
    const dropped = Math.min(left, chunk.byteLength)
    left -= dropped
    return dropped === chunk.byteLength ? [] : [chunk.subarray(dropped)]
  })
}
