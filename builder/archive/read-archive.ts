import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { extract as createExtract } from 'tar-stream'
import { isErrno, TsbuildError } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { maxDocumentBytes } from '../../oci/json.ts'
import type { Store } from '../../storage/index.ts'
import { MalformedArchive } from './errors.ts'
import { openCompressed } from './open-compressed.ts'

/** One of a tar, as tar-stream gives it; spelt out, since its types do not come with ours. */
interface Entry extends AsyncIterable<unknown> {
  readonly header: { readonly name: string; readonly type?: string | null | undefined; readonly linkname: string }
  resume(): void
}

/** What an image archive held, by the names of its files. Names are only ever looked up, never used as paths. */
export class ArchiveFiles {
  readonly #store: Store
  readonly #blobs = new Map<string, Descriptor>()
  readonly #links = new Map<string, string>()

  constructor(store: Store) {
    this.#store = store
  }

  has(name: string): boolean {
    return this.find(name) !== undefined
  }

  /** A file's blob in the content store, links followed. */
  find(name: string): Descriptor | undefined {
    let at = clean(name)
    for (let links = 0; links < 8; links += 1) {
      const target = this.#links.get(at)
      if (target === undefined) return this.#blobs.get(at)
      at = target
    }
    return undefined
  }

  /** @throws {MalformedArchive} when it is not there or too large for a document */
  async readDocument(name: string): Promise<Uint8Array> {
    const blob = this.find(name)
    if (blob === undefined) throw new MalformedArchive(`it has no "${name}"`)
    if (blob.size > maxDocumentBytes) throw new MalformedArchive(`its "${name}" has ${blob.size} bytes, more than ${maxDocumentBytes}`)
    return this.#store.content.readDocument(blob)
  }

  async add(entry: Entry, task: Task): Promise<void> {
    const name = clean(entry.header.name)
    const { type, linkname } = entry.header
    if (type === 'symlink' || type === 'link') {
      this.#refuseTwice(name)
      this.#links.set(name, clean(type === 'link' ? linkname : posix.join(posix.dirname(name), linkname)))
    } else if (type === 'file' || type === 'contiguous-file') {
      this.#refuseTwice(name)
      this.#blobs.set(name, await this.#store.content.add(entry as AsyncIterable<Uint8Array>, 'application/octet-stream', task))
    }
    entry.resume()
  }

  #refuseTwice(name: string): void {
    if (this.#blobs.has(name) || this.#links.has(name)) throw new MalformedArchive(`it has "${name}" twice`)
  }
}

/**
 * Reads a tar, compressed or not, to its end; every file in it becomes a blob, which the next gc removes unless an image comes to need it.
 * @throws {MalformedArchive} @throws {MalformedCompression} @throws an error of the file system when it cannot be opened
 */
export async function readArchive(store: Store, archive: Readable, task: Task): Promise<ArchiveFiles> {
  const files = new ArchiveFiles(store)
  try {
    const tar = Readable.from(await openCompressed(archive as AsyncIterable<Uint8Array>, maxArchiveBytes, task), { objectMode: false, highWaterMark: 1024 * 1024 })
    const extract = createExtract()
    tar.on('error', (error) => extract.destroy(error))
    tar.pipe(extract)
    for await (const entry of extract) {
      task.signal.throwIfAborted()
      await files.add(entry, task)
    }
  } catch (error) {
    task.signal.throwIfAborted()
    if (error instanceof TsbuildError || isErrno(error, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw error
    throw new MalformedArchive('it is no complete tar', { cause: error })
  } finally {
    archive.destroy()
  }
  return files
}

const maxArchiveBytes = 2 ** 42

function clean(name: string): string {
  return posix.normalize(`/${name}`).slice(1)
}
