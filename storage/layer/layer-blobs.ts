import type { Task } from '../../core/task.ts'
import type { HashedBytes, PipeReader } from '../../native/index.ts'
import type { Compression, Descriptor } from '../../oci/descriptor.ts'
import { layerMediaType } from '../../oci/descriptor.ts'
import type { ChainId, Digest, DiffId } from '../../oci/digest.ts'
import { digestAsDiffId, parseDigest } from '../../oci/digest.ts'
import { LayerDamaged } from '../errors.ts'
import type { BlobBegun } from '../growing-blob.ts'
import { GrowingFile } from '../growing-blob.ts'
import type { BlobInfo, LayerForm } from '../store.ts'
import type { BlobStore } from '../content-store.ts'
import type { Database } from '../records/database.ts'
import { readText } from '../records/database.ts'

/** A layer whose changeset can be read by somebody else. */
export interface PouredLayer {
  readonly layer: { readonly chainId: ChainId; readonly diffId: DiffId }
  readonly pour: (read: PipeReader) => Promise<void>
  /** undefined is the usual one. */
  readonly level: number | undefined
}

/** More content than any image has; a stream that claims more is an attack or a mistake. */
export const maxChangesetBytes: number = 2 ** 40
/** Of processor time, to unpack or index one layer: some ten times what the largest takes. */
export const maxChangesetSeconds = 3600

/** Which blobs hold which changeset, in which compression. */
export class LayerBlobs {
  readonly #database: Database
  readonly #blobs: BlobStore

  constructor(database: Database, blobs: BlobStore) {
    this.#database = database
    this.#blobs = blobs
  }

  /** Call it only when the blob was seen to decompress to the diffID. */
  remember(diffId: DiffId, form: Compression | LayerForm, digest: Digest): void {
    this.#database.transaction('durable', () => {
      this.#database.run('INSERT OR REPLACE INTO layer_blobs VALUES (?, ?, ?)', diffId, formKey(form), digest)
    })
  }

  find(diffId: DiffId, form: Compression | LayerForm): Descriptor | undefined {
    const { compression } = readForm(form)
    const row = this.#database.get('SELECT digest FROM layer_blobs WHERE diff_id = ? AND compression = ?', diffId, formKey(form))
    const blob = row === undefined ? undefined : this.#blobs.find(parseDigest(readText(row, 'digest')))
    return blob === undefined ? undefined : { mediaType: layerMediaType(compression), digest: blob.digest, size: blob.sizeBytes }
  }

  /** The changeset out of whichever blob holds it, the quickest first. @returns undefined when none is left */
  async read(diffId: DiffId, task: Task): Promise<AsyncIterable<Uint8Array> | undefined> {
    const blob = this.find(diffId, 'none') ?? this.find(diffId, 'zstd') ?? this.find(diffId, 'gzip')
    if (blob === undefined) return undefined
    // Loaded where it is used: a build that finds everything in its cache starts without zlib.
    const { decompress } = await import('../compression/decompress.ts')
    return (await decompress(this.#blobs.read(blob, task), maxChangesetBytes)).bytes
  }

  /** Stores a changeset in a compression and remembers it. */
  async create(diffId: DiffId, form: Compression | LayerForm, changeset: AsyncIterable<Uint8Array>): Promise<Descriptor> {
    const { compression, level } = readForm(form)
    const { compress } = await import('../compression/compress.ts')
    const writer = await this.#blobs.createWriter({ algorithm: 'sha256', maxBytes: maxChangesetBytes })
    try {
      for await (const chunk of compress(changeset, compression, level)) await writer.write(chunk)
      const { digest, sizeBytes } = await writer.publish()
      this.remember(diffId, form, digest)
      return { mediaType: layerMediaType(compression), digest, size: sizeBytes }
    } finally {
      await writer.discard()
    }
  }

  /** The same with gzip, past the main thread; the blob can be read while it grows. @throws {LayerDamaged} */
  async createGzip({ layer, pour, level }: PouredLayer, task: Task<BlobBegun>): Promise<Descriptor> {
    const { writeGzip } = await import('../compression/write-gzip.ts')
    const growing = new GrowingFile()
    try {
      const { digest, sizeBytes } = await this.#blobs.make(async (file, path) => {
        task.emit({ type: 'blob-begun', follow: () => growing.follow(path) })
        const { plain, packed } = await writeGzip({ pour, fd: file.fd, level }, (writtenBytes) => { growing.grew(writtenBytes) })
        const diffId = digestAsDiffId(digestOf(plain))
        if (diffId !== layer.diffId) throw new LayerDamaged(layer, diffId)
        const info = { digest: digestOf(packed), sizeBytes: packed[1] }
        growing.isMade(describeGzip(info))
        return info
      })
      this.remember(layer.diffId, { compression: 'gzip', level }, digest)
      return describeGzip({ digest, sizeBytes })
    } catch (error) {
      growing.failed(error)
      throw error
    }
  }
}

function digestOf([digest]: HashedBytes): Digest {
  return parseDigest(`sha256:${digest.toString('hex')}`)
}

function describeGzip({ digest, sizeBytes }: BlobInfo): Descriptor {
  return { mediaType: layerMediaType('gzip'), digest, size: sizeBytes }
}

/** What a form means in full. */
export function readForm(form: Compression | LayerForm): LayerForm {
  return typeof form === 'string' ? { compression: form, level: undefined } : form
}

/** `gzip` for the usual level, `gzip-9` for another. */
function formKey(form: Compression | LayerForm): string {
  const { compression, level } = readForm(form)
  return level === undefined ? compression : `${compression}-${level}`
}
