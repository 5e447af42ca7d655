import type { Task } from '../../core/task.ts'
import type { Compression, Descriptor } from '../../oci/descriptor.ts'
import { layerMediaType } from '../../oci/descriptor.ts'
import type { Digest, DiffId } from '../../oci/digest.ts'
import { parseDigest } from '../../oci/digest.ts'
import type { LayerForm } from '../store.ts'
import type { BlobStore } from '../content-store.ts'
import type { Database } from '../records/database.ts'
import { readText } from '../records/database.ts'

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
}

function readForm(form: Compression | LayerForm): LayerForm {
  return typeof form === 'string' ? { compression: form, level: undefined } : form
}

/** `gzip` for the usual level, `gzip-9` for another. */
function formKey(form: Compression | LayerForm): string {
  const { compression, level } = readForm(form)
  return level === undefined ? compression : `${compression}-${level}`
}
