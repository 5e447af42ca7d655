import { createReadStream, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isErrno } from '../core/errors.ts'
import type { Task } from '../core/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import { createDigester, digestAlgorithm, sha256 } from '../oci/digest.ts'
import { DigestMismatch } from '../oci/errors.ts'
import { maxDocumentBytes } from '../oci/json.ts'
import { limitBytes, verifyBytes } from '../oci/verify.ts'
import { BlobMissing, StreamTooLarge } from './errors.ts'
import { HashedFile } from './hashed-file.ts'
import type { Database } from './records/database.ts'
import { readInteger } from './records/database.ts'
import { writeIndex } from './records/index-json.ts'
import { explainFull, openPrivate } from './root/explain-full.ts'
import { claimIncoming } from './root/incoming-file.ts'
import type { Layout } from './root/layout.ts'
import type { Session } from './root/session.ts'
import { syncPath } from './root/sync-path.ts'
import type { BlobInfo, ContentStore } from './store.ts'

/** A blob being written: nothing of it can be found before `publish`. */
export interface BlobWriter {
  /** Takes the bytes over, which must not change any more; resolves when more are welcome. What fails may show at a later call. @throws {StreamTooLarge} */
  write(bytes: Uint8Array): Promise<void>
  /** Call it when all was written. @throws {DigestMismatch} unless that is exactly the descriptor's */
  verify(expected: Descriptor): Promise<void>
  /** Makes it durable and findable under the digest of what was written. */
  publish(): Promise<BlobInfo>
  /** Throws away what was written and not published. */
  discard(): Promise<void>
}

/** A writer of a blob of which a part may have been written before: the same bytes are given to `write` again, which takes note of them. */
export interface ContinuedWriter extends BlobWriter {
  readonly heldBytes: number
  /** The part that is there. */
  held(): AsyncIterable<Uint8Array>
  /** Leaves what was written, if anything was, for the next who wants the blob. */
  leave(): Promise<void>
}

interface OpenWriter extends BlobWriter {
  /** Writes what was given, as far as that goes. */
  flush(): Promise<void>
  close(): Promise<void>
}

const readBytes = 256 * 1024
const maxBlobBytes = 2 ** 40

/**
 * What survives a crash at each step of a blob's way: 1 the temporary file lies in the session's directory and goes with
 * it; 2 it is flushed (an error there ends the attempt: the kernel may report it only once); 3 renamed, but the name may
 * be lost: the blob is leased, so a file without row is no garbage yet; 4 the folder is flushed; 5 the row makes it known.
 */
export class BlobStore implements ContentStore {
  readonly #layout: Layout
  readonly #database: Database
  readonly #session: Session

  constructor(layout: Layout, database: Database, session: Session) {
    this.#layout = layout
    this.#database = database
    this.#session = session
  }

  find(digest: Digest): BlobInfo | undefined {
    return this.#session.isLeased('blob', digest) ? this.#look(digest) : this.#session.transaction('quick', () => {
      const found = this.#look(digest)
      if (found !== undefined) this.#session.lease('blob', digest)
      return found
    })
  }

  async* read(blob: Descriptor, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.find(blob.digest) === undefined) throw new BlobMissing(blob.digest)
    yield* verifyBytes(createReadStream(this.#layout.blob(blob.digest), { highWaterMark: readBytes, signal: task.signal }) as AsyncIterable<Uint8Array>, blob)
  }

  async readDocument(blob: Descriptor): Promise<Uint8Array> {
    if (this.find(blob.digest) === undefined) throw new BlobMissing(blob.digest)
    if (blob.size > maxDocumentBytes) throw new StreamTooLarge(maxDocumentBytes)
    return checkDocument(blob, await readFile(this.#layout.blob(blob.digest)))
  }

  /** For transactions, which cannot wait. @throws {BlobMissing} @throws {DigestMismatch} */
  readDocumentSync(blob: Descriptor): Uint8Array {
    if (this.#look(blob.digest) === undefined) throw new BlobMissing(blob.digest)
    if (blob.size > maxDocumentBytes) throw new StreamTooLarge(maxDocumentBytes)
    return checkDocument(blob, readFileSync(this.#layout.blob(blob.digest)))
  }

  async add(bytes: AsyncIterable<Uint8Array>, mediaType: string, task: Task): Promise<Descriptor> {
    const writer = await this.createWriter({ algorithm: 'sha256', maxBytes: maxBlobBytes })
    try {
      for await (const chunk of bytes) {
        task.signal.throwIfAborted()
        await writer.write(chunk)
      }
      const { digest, sizeBytes } = await writer.publish()
      return { mediaType, digest, size: sizeBytes }
    } finally {
      await writer.discard()
    }
  }

  async ingest(blob: Descriptor, bytes: AsyncIterable<Uint8Array>, task: Task): Promise<void> {
    if (this.find(blob.digest) !== undefined) {
      await bytes[Symbol.asyncIterator]().return?.()
      return
    }
    const writer = await this.createWriter({ algorithm: digestAlgorithm(blob.digest), maxBytes: blob.size })
    try {
      for await (const chunk of limitBytes(bytes, blob)) {
        task.signal.throwIfAborted()
        await writer.write(chunk)
      }
      await writer.verify(blob)
      await writer.publish()
    } finally {
      await writer.discard()
    }
  }

  async write(bytes: Uint8Array, mediaType: string): Promise<Descriptor> {
    const descriptor = { mediaType, digest: sha256(bytes), size: bytes.byteLength }
    if (this.find(descriptor.digest) !== undefined) return descriptor
    const writer = await this.createWriter({ algorithm: 'sha256', maxBytes: bytes.byteLength })
    try {
      await writer.write(bytes)
      await writer.publish()
    } finally {
      await writer.discard()
    }
    return descriptor
  }

  async createWriter(limits: { readonly algorithm: DigestAlgorithm; readonly maxBytes: number }): Promise<BlobWriter> {
    const path = this.#session.createTemporaryPath()
    return this.#write({ path, file: await openPrivate(this.#layout.root, path, 'wx'), heldBytes: 0 }, limits)
  }

  /** A blob that `fill` writes into a private file by itself. */
  async make(fill: (file: FileHandle, path: string) => Promise<BlobInfo>): Promise<BlobInfo> {
    const path = this.#session.createTemporaryPath()
    const file = await openPrivate(this.#layout.root, path, 'wx')
    const state = { isPublished: false }
    try {
      return await this.#explaining(async () => {
        const info = await fill(file, path)
        await file.datasync()
        await this.#publish(path, info)
        state.isPublished = true
        return info
      })
    } finally {
      if (!state.isPublished) await rm(path, { force: true })
      await file.close()
    }
  }

  /** A writer that goes on where a process that died, or a transfer that failed, has stopped. @returns undefined when another process has stored the blob meanwhile */
  async continueWriter(blob: Descriptor, task: Task): Promise<ContinuedWriter | undefined> {
    const incoming = await claimIncoming(this.#layout, { digest: blob.digest, isThere: () => this.find(blob.digest) !== undefined }, task)
    if (incoming === undefined) return undefined
    const { path, file, sizeBytes } = incoming
    if (sizeBytes > blob.size) await file.truncate()
    const heldBytes = sizeBytes > blob.size ? 0 : sizeBytes
    const writer = this.#write({ path, file, heldBytes }, { algorithm: digestAlgorithm(blob.digest), maxBytes: blob.size })
    const leave = async (): Promise<void> => {
      await writer.flush()
      if ((await file.stat()).size === 0) await writer.discard()
      else await writer.close()
    }
    return { ...writer, leave, heldBytes, held: () => readHeld(file, heldBytes) }
  }

  #write({ path, file, heldBytes }: { readonly path: string; readonly file: FileHandle; readonly heldBytes: number }, limits: { readonly algorithm: DigestAlgorithm; readonly maxBytes: number }): OpenWriter {
    const hashed = new HashedFile(file, { ...limits, inflater: 'none', heldBytes })
    const state = { isOpen: true, isPublished: false }
    let finished: Promise<BlobInfo> | undefined
    const finish = (): Promise<BlobInfo> => finished ??= hashed.finish()
    let flushed: Promise<void> | undefined
    const flush = (): Promise<void> => flushed ??= file.datasync()
    const close = async (): Promise<void> => {
      if (!state.isOpen) return
      state.isOpen = false
      await hashed.close()
    }
    return {
      close,
      write: (bytes) => {
        const written = this.#explaining(async () => { await hashed.add(bytes) })
        // Who gives up before it has settled need not look at it: `discard` waits for it.
        written.catch(() => undefined)
        return written
      },
      verify: (expected) => this.#explaining(async () => {
        const { digest, sizeBytes } = await finish()
        if (digest !== expected.digest || sizeBytes !== expected.size) throw new DigestMismatch(expected, { digest, sizeBytes })
        // It will most likely be published, and whoever does so waits less; a failure is met there.
        flush().catch(() => undefined)
      }),
      publish: () => this.#explaining(async () => {
        const info = await finish()
        await flush()
        // Closed last: closing gives up the lock of a file that others wait for.
        await this.#publish(path, info)
        state.isPublished = true
        await close()
        return info
      }),
      // What could not be written is not left.
      flush: async () => { await Promise.allSettled([hashed.flush()]) },
      discard: async () => {
        if (!state.isPublished && state.isOpen) await rm(path, { force: true })
        await close()
      },
    }
  }

  async #explaining<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw explainFull(this.#layout.root, error)
    }
  }

  #look(digest: Digest): BlobInfo | undefined {
    const row = this.#database.get('SELECT size FROM blobs WHERE digest = ?', digest)
    if (row === undefined) return undefined
    const sizeBytes = readInteger(row, 'size')
    return fileSize(this.#layout.blob(digest)) === sizeBytes ? { digest, sizeBytes } : undefined
  }

  async #publish(path: string, { digest, sizeBytes }: BlobInfo): Promise<void> {
    this.#session.transaction('quick', () => { this.#session.lease('blob', digest) })
    const folder = this.#layout.blobFolder(digest)
    if (!existsSync(folder)) {
      mkdirSync(folder, { recursive: true })
      await syncPath(dirname(folder))
    }
    await rename(path, this.#layout.blob(digest))
    await syncPath(folder)
    this.#session.transaction('durable', () => {
      this.#database.run('INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)', digest, sizeBytes, Date.now())
      // It may have been the last one that an image lacked.
      if (this.#database.get('SELECT 1 FROM image_blobs WHERE digest = ?', digest) !== undefined) writeIndex(this.#layout, this.#database)
    })
  }
}

function checkDocument(blob: Descriptor, bytes: Uint8Array): Uint8Array {
  const digest = digestAlgorithm(blob.digest) === 'sha256' ? sha256(bytes) : sha512(bytes)
  if (digest !== blob.digest || bytes.byteLength !== blob.size) throw new DigestMismatch(blob, { digest, sizeBytes: bytes.byteLength })
  return bytes
}

function sha512(bytes: Uint8Array): Digest {
  const digester = createDigester('sha512')
  digester.update(bytes)
  return digester.finish()
}

function fileSize(path: string): number | undefined {
  try {
    return statSync(path).size
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

async function* readHeld(file: FileHandle, heldBytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let position = 0; position < heldBytes;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(readBytes), 0, Math.min(readBytes, heldBytes - position), position)
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
