import { close, openSync, read } from 'node:fs'
import { promisify } from 'node:util'
import type { Descriptor } from '../oci/descriptor.ts'

/** A blob that is being made, for those who want to send it while it grows. */
export interface GrowingBlob extends AsyncDisposable {
  /** Resolves when there are more than so many bytes, or all; the descriptor is known when all are. Fails if the blob is not made after all. */
  more(thanBytes: number): Promise<{ readonly sizeBytes: number; readonly blob: Descriptor | undefined }>
  /** Bytes that are there. */
  read(fromByte: number, length: number): AsyncIterable<Uint8Array>
}

/** Said before the first byte of a blob is written. */
export interface BlobBegun {
  readonly type: 'blob-begun'
  /** To be called in the event; whoever calls disposes of what it gives. */
  readonly follow: () => GrowingBlob
}

const readBytes = 1024 * 1024
const readFile = promisify(read)
const closeFile = promisify(close)

/** What the maker of a blob tells of its file. */
export class GrowingFile {
  #sizeBytes = 0
  #blob: Descriptor | undefined
  #failure: { readonly error: unknown } | undefined
  #waiting: (() => void)[] = []

  grew(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes
    this.#wake()
  }

  isMade(blob: Descriptor): void {
    this.#blob = blob
    this.grew(blob.size)
  }

  failed(error: unknown): void {
    this.#failure = { error }
    this.#wake()
  }

  /** The file may get another name meanwhile. */
  follow(path: string): GrowingBlob {
    const fd = openSync(path, 'r')
    return {
      more: (thanBytes) => this.#more(thanBytes),
      read: (fromByte, length) => readPieces(fd, fromByte, length),
      [Symbol.asyncDispose]: () => closeFile(fd),
    }
  }

  async #more(thanBytes: number): Promise<{ readonly sizeBytes: number; readonly blob: Descriptor | undefined }> {
    while (this.#blob === undefined && this.#failure === undefined && this.#sizeBytes <= thanBytes) {
      await new Promise<void>((resolve) => { this.#waiting.push(resolve) })
    }
    if (this.#failure !== undefined) throw this.#failure.error
    return { sizeBytes: this.#sizeBytes, blob: this.#blob }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

async function* readPieces(fd: number, fromByte: number, length: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = fromByte; at < fromByte + length;) {
    const wanted = Math.min(readBytes, fromByte + length - at)
    const { bytesRead, buffer } = await readFile(fd, Buffer.allocUnsafeSlow(wanted), 0, wanted, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
