import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { sha256 } from '../../oci/digest.ts'
import type { Push, Reference, TransferEvent } from '../../registry-client/index.ts'
import { createPush, formatReference, parseReference } from '../../registry-client/index.ts'
import type { BlobBegun } from '../../storage/index.ts'
import type { Engine } from '../engine.ts'
import { findImage } from '../find-image.ts'
import type { BlobOptions } from '../output/build-output.ts'
import { noAnnotations, usualBlobs } from '../output/build-output.ts'
import { noteOrigin, readOrigins } from './blob-origins.ts'
import type { PortableImage } from './portable-image.ts'
import { openImages } from './portable-image.ts'
import type { Departure, PortableTree } from './portable-tree.ts'
import { makePortableTree } from './portable-tree.ts'

export interface PushOptions {
  /** The image's name, which says where to. */
  readonly name: string
  readonly maxConcurrentUploads?: number | undefined
  /** Whether the registry is to know it by its digest alone. */
  readonly isByDigest?: boolean
}

const defaultConcurrentUploads = 5

/** Uploads an image under its own name; layers the registry has are not sent. @returns what the registry now calls it */
export async function pushImage(engine: Engine, { name, blobs = usualBlobs, maxConcurrentUploads }: PushOptions & { readonly blobs?: BlobOptions }, task: Task<TransferEvent>): Promise<Descriptor> {
  const images = await openImages(engine.store, findImage(engine.store, name))
  const departure = { members: images.map((image) => ({ image, predicates: [] })), names: [name], annotations: noAnnotations }
  return (await uploadDeparture(engine, { name, departure, blobs, maxConcurrentUploads }, task)).descriptor
}

/** Makes blobs of the layers that have none yet, and uploads them meanwhile. @returns what can be uploaded under other names as well */
export async function uploadDeparture(engine: Engine, upload: PushOptions & { readonly departure: Departure; readonly blobs: BlobOptions }, task: Task<TransferEvent>): Promise<{ readonly descriptor: Descriptor; readonly tree: PortableTree }> {
  const { departure, blobs, ...options } = upload
  await using followed = new AsyncDisposableStack()
  const opening = openPush(engine, options, task)
  const begin = ({ follow }: BlobBegun): void => {
    const growing = followed.use(follow())
    // Why it cannot be opened is told to the one who waits for it.
    opening.then((push) => { push.begin(growing) }, () => undefined)
  }
  try {
    const tree = await makePortableTree(engine.store, departure, { blobs, task: { signal: task.signal, emit: begin } })
    return { tree, descriptor: await uploadTree(engine, { ...options, tree, push: await opening }, task) }
  } catch (error) {
    const push = await Promise.allSettled([opening])
    for (const outcome of push) if (outcome.status === 'fulfilled') await outcome.value.stop(error)
    throw error
  }
}

async function openPush(engine: Engine, { name, maxConcurrentUploads = defaultConcurrentUploads }: PushOptions, task: Task<TransferEvent>): Promise<Push> {
  const { client } = await engine.registries()
  return createPush(client, { reference: parseReference(name), maxConcurrentUploads }, task)
}

/** Uploads the images of an index and what is said of them by their digests, and then the index under the name. */
export async function uploadTree(engine: Engine, upload: PushOptions & { readonly tree: PortableTree; readonly push?: Push }, task: Task<TransferEvent>): Promise<Descriptor> {
  const { tree: { parts, top, index }, isByDigest = false, ...options } = upload
  const reference = parseReference(upload.name)
  const byDigest = (bytes: Uint8Array): Reference => ({ ...reference, tag: undefined, digest: sha256(bytes) })
  let last = top
  for (const portable of parts) {
    const name = index === undefined && !isByDigest ? upload.name : formatReference(byDigest(portable.bytes))
    last = await uploadPortable(engine, { ...options, name, portable }, task)
  }
  if (index === undefined) return last
  const { client } = await engine.registries()
  return client.pushManifest(isByDigest ? byDigest(index) : reference, { bytes: index, mediaType: top.mediaType }, silent(task))
}

/** Uploads an image whose blobs are in the store, or on their way from it. */
export async function uploadPortable(engine: Engine, upload: PushOptions & { readonly portable: PortableImage; readonly push?: Push }, task: Task<TransferEvent>): Promise<Descriptor> {
  const { store } = engine
  const { bytes, manifest, mediaType } = upload.portable
  const reference = parseReference(upload.name)
  const push = upload.push ?? await openPush(engine, upload, task)
  const descriptor = await push.finish({
    reference,
    manifest: { bytes, mediaType },
    source: { read: (blob, readTask) => store.content.read(blob, readTask), origins: await readOrigins(store) },
  })
  await noteOrigin(store, reference, [...manifest.layers, manifest.config])
  return descriptor
}
