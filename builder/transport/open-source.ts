import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestAlgorithm, digestHex } from '../../oci/digest.ts'
import { maxDocumentBytes } from '../../oci/json.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import { verifyBytes } from '../../oci/verify.ts'
import { listImages } from '../archive/load.ts'
import { readArchive } from '../archive/read-archive.ts'
import type { Engine } from '../engine.ts'
import { ImageUnavailable } from '../errors.ts'
import { MalformedArchive } from '../archive/errors.ts'
import { findImage } from '../find-image.ts'
import type { BlobOptions } from '../output/build-output.ts'
import { askInTurn } from '../transfer/ask-in-turn.ts'
import { readOrigins } from '../transfer/blob-origins.ts'
import { makePortable, openImage } from '../transfer/portable-image.ts'
import { openDirSource } from './dir-folder.ts'
import type { ImageSource } from './image-source.ts'
import type { Location } from './location.ts'
import { formatLocation } from './location.ts'

/** @throws {ImageUnavailable} @throws {MalformedArchive} */
export function openSource(engine: Engine, from: Location, request: { readonly blobs: BlobOptions; readonly task: Task }): Promise<ImageSource> {
  switch (from.transport) {
    case 'docker': return openRegistrySource(engine, from.name, request.task)
    case 'tsbuild': return openStoreSource(engine, from.name, request)
    case 'oci': return openLayoutSource(from)
    case 'dir': return openDirSource(from.path)
    case 'oci-archive':
    case 'docker-archive': return openArchiveSource(engine, from, request.task)
  }
}

async function openRegistrySource(engine: Engine, name: string, task: Task): Promise<ImageSource> {
  return askInTurn(await engine.registries(), name, async (client, reference) => {
    const { descriptor, bytes } = await client.fetchManifest(reference, task)
    return {
      top: { descriptor, bytes },
      document: async ({ digest }, documentTask) => (await client.fetchManifest({ ...reference, tag: undefined, digest }, silent(documentTask))).bytes,
      blob: ({ blob, fromByte }, blobTask) => (fromByte === 0 ? client.fetchBlob(reference, blob, blobTask) : client.continueBlob(reference, { blob, fromByte }, blobTask)),
      origins: () => [reference],
    }
  })
}

async function openStoreSource(engine: Engine, name: string, { blobs, task }: { readonly blobs: BlobOptions; readonly task: Task }): Promise<ImageSource> {
  const { store } = engine
  const { bytes, mediaType } = await makePortable(store, await openImage(store, findImage(store, name)), { blobs, task: silent(task) })
  return contentSource(engine, await store.content.write(bytes, mediaType))
}

/** An image whose documents and blobs are in the content store. */
async function contentSource({ store }: Engine, descriptor: Descriptor): Promise<ImageSource> {
  return {
    top: { descriptor, bytes: await store.content.readDocument(descriptor) },
    document: (each) => store.content.readDocument(each),
    blob: ({ blob }, task) => store.content.read(blob, silent(task)),
    origins: await readOrigins(store),
  }
}

async function openArchiveSource(engine: Engine, from: Extract<Location, { path: string }>, task: Task): Promise<ImageSource> {
  const files = await readArchive(engine.store, createReadStream(from.path, { highWaterMark: 1024 * 1024 }), task)
  const listed = await listImages(engine.store, files)
  const wanted = from.tag === undefined ? listed : listed.filter(({ names, descriptor }) => names.includes(from.tag ?? '') || descriptor.digest === from.tag)
  return contentSource(engine, choose(wanted.map(({ descriptor }) => descriptor), from))
}

/** The one image meant. */
function choose(found: readonly Descriptor[], from: Extract<Location, { path: string }>): Descriptor {
  const distinct = [...new Map(found.map((each) => [each.digest, each])).values()]
  const [only, ...others] = distinct
  if (only === undefined) throw new ImageUnavailable(formatLocation(from), from.tag === undefined ? 'there is no image in it' : `there is no image of the name "${from.tag}" in it`)
  if (others.length > 0) throw new ImageUnavailable(formatLocation(from), `there are ${distinct.length} images in it: say which behind a colon`)
  return only
}

async function openLayoutSource(from: Extract<Location, { path: string }>): Promise<ImageSource> {
  const index = parseManifestDocument(await readSmall(join(from.path, 'index.json')), mediaTypes.ociIndex)
  if (index.kind !== 'index') throw new MalformedArchive('its index.json is no index')
  const named = index.index.manifests.filter(({ annotations, digest }) => from.tag === undefined || digest === from.tag
    || annotations?.['org.opencontainers.image.ref.name'] === from.tag || annotations?.['io.containerd.image.name'] === from.tag)
  const descriptor = plain(choose(named, from))
  const path = ({ digest }: Descriptor): string => join(from.path, 'blobs', digestAlgorithm(digest), digestHex(digest))
  const document = async (each: Descriptor): Promise<Uint8Array> => {
    if (each.size > maxDocumentBytes) throw new MalformedArchive(`its "${each.digest}" has ${each.size} bytes, more than ${maxDocumentBytes}`)
    const chunks: Uint8Array[] = []
    for await (const chunk of verifyBytes(createReadStream(path(each)) as AsyncIterable<Uint8Array>, each)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
  return {
    top: { descriptor, bytes: await document(descriptor) },
    document,
    blob: ({ blob, fromByte }, task) => {
      const bytes = createReadStream(path(blob), { start: fromByte, highWaterMark: 256 * 1024, signal: task.signal }) as AsyncIterable<Uint8Array>
      return fromByte === 0 ? verifyBytes(bytes, blob) : bytes
    },
    origins: () => [],
  }
}

/** Without the names that the entry of an index gives it. */
function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size }
}

async function readSmall(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) throw new MalformedArchive(`there is no OCI layout: "${path}" does not exist`)
    throw error
  }
}
