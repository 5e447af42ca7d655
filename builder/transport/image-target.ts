import { randomUUID } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isErrno } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { digestAlgorithm, digestHex } from '../../oci/digest.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { Reference, TransferEvent } from '../../registry-client/index.ts'
import { parseReference } from '../../registry-client/index.ts'
import type { ArchiveSink } from '../archive/archive-sink.ts'
import type { Engine } from '../engine.ts'
import { MalformedArchive } from '../archive/errors.ts'
import { makeOutputFolder } from '../output/output-file.ts'
import { noteOrigin } from '../transfer/blob-origins.ts'
import type { ImageSource, LoadedDocument } from './image-source.ts'

/** Where an image is copied to. Blobs come before the documents that name them, the document that is copied for its name last. */
export interface ImageTarget {
  readonly takesSeveralAtOnce: boolean
  putBlob(blob: Descriptor, source: ImageSource, task: Task<TransferEvent>): Promise<void>
  putDocument(document: LoadedDocument, isTop: boolean, task: Task): Promise<void>
  finish(task: Task): Promise<void>
  /** Instead of finish. */
  discard(): Promise<void>
}

export async function openRegistryTarget(engine: Engine, name: string): Promise<ImageTarget> {
  const { client } = await engine.registries()
  const reference: Reference = parseReference(name)
  const blobs: Descriptor[] = []
  return {
    takesSeveralAtOnce: true,
    putBlob: async (blob, source, task) => {
      await client.pushBlob(reference, { blob, source: { read: (each, { signal }) => source.blob({ blob: each, fromByte: 0 }, { signal, emit: () => undefined }), origins: (each) => source.origins(each) } }, task)
      blobs.push(blob)
    },
    putDocument: async ({ bytes, descriptor }, isTop, task) => {
      const to = isTop && reference.tag !== undefined ? reference : { ...reference, tag: undefined, digest: descriptor.digest }
      await client.pushManifest(isTop ? { ...to, digest: reference.digest ?? to.digest } : to, { bytes, mediaType: descriptor.mediaType }, task)
    },
    finish: () => noteOrigin(engine.store, reference, blobs),
    discard: () => Promise.resolve(),
  }
}

function blobName(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`
}

const marker = '{"imageLayoutVersion":"1.0.0"}'

/** An OCI layout in a folder, which may have other images in it. What has its place by digest is complete. */
export function openLayoutTarget({ store }: Engine, { path, tag }: { readonly path: string; readonly tag: string | undefined }): ImageTarget {
  makeOutputFolder(path)
  let top: Descriptor | undefined
  const put = async ({ digest }: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<boolean> => {
    const final = join(path, blobName(digest))
    if (existsSync(final)) return false
    await mkdir(dirname(final), { recursive: true })
    const temporary = join(path, `.${randomUUID()}`)
    try {
      await pipeline(Readable.from(bytes), createWriteStream(temporary, { flags: 'wx', flush: true }))
      await rename(temporary, final)
    } finally {
      await rm(temporary, { force: true })
    }
    return true
  }
  return {
    takesSeveralAtOnce: true,
    putBlob: async (blob, source, task) => {
      if (!await put(blob, source.blob({ blob, fromByte: 0 }, task))) task.emit({ type: 'transfer-progressed', direction: 'push', digest: blob.digest, doneBytes: blob.size, totalBytes: blob.size, outcome: 'present' })
    },
    putDocument: async ({ descriptor, bytes }, isTop) => {
      await put(descriptor, once(bytes))
      if (isTop) top = descriptor
    },
    finish: async (task) => {
      // Another copy into the same layout may be at the same point.
      await using _lock = await store.lock(`layout ${await realpath(path)}`, { exclusive: true }, task)
      await writeFile(join(path, 'oci-layout'), marker)
      const manifests = await listOthers(path, { tag, digest: top?.digest })
      const temporary = join(path, `.${randomUUID()}`)
      await writeFile(temporary, layoutIndex([...manifests, ...named(top, tag)]))
      await rename(temporary, join(path, 'index.json'))
    },
    discard: () => Promise.resolve(),
  }
}

/** What the layout keeps: all entries but the one of this name, or for an image without name the one that is it. */
async function listOthers(path: string, { tag, digest }: { tag: string | undefined; digest: string | undefined }): Promise<Descriptor[]> {
  let bytes
  try {
    bytes = await readFile(join(path, 'index.json'))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
  const document = parseManifestDocument(bytes, mediaTypes.ociIndex)
  if (document.kind !== 'index') throw new MalformedArchive('its index.json is no index')
  return document.index.manifests.filter((entry) => {
    const name = entry.annotations?.['org.opencontainers.image.ref.name']
    return tag === undefined ? name !== undefined || entry.digest !== digest : name !== tag
  })
}

/** An OCI layout in a tar, complete or not there. */
export function openArchiveTarget(sink: ArchiveSink, tag: string | undefined): ImageTarget {
  let top: Descriptor | undefined
  const written = new Set<string>()
  const put = async ({ digest, size }: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<void> => {
    if (written.has(digest)) return
    written.add(digest)
    await sink.put(blobName(digest), size, bytes)
  }
  return {
    takesSeveralAtOnce: false,
    putBlob: (blob, source, task) => put(blob, source.blob({ blob, fromByte: 0 }, task)),
    putDocument: async ({ descriptor, bytes }, isTop) => {
      await put(descriptor, once(bytes))
      if (isTop) top = descriptor
    },
    finish: async () => {
      const index = Buffer.from(layoutIndex(named(top, tag)))
      await sink.put('oci-layout', marker.length, once(Buffer.from(marker)))
      await sink.put('index.json', index.length, once(index))
      await sink.finish()
    },
    discard: () => sink.discard(),
  }
}

function named(top: Descriptor | undefined, tag: string | undefined): Descriptor[] {
  if (top === undefined) return []
  return [{ ...top, ...(tag === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': tag } }) }]
}

function layoutIndex(manifests: readonly Descriptor[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve()
  yield bytes
}

