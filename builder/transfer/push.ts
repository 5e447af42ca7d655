import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { TransferEvent } from '../../registry-client/index.ts'
import { parseReference, pushImage as uploadImage } from '../../registry-client/index.ts'
import type { Engine } from '../engine.ts'
import { findImage } from '../find-image.ts'
import type { BlobOptions } from '../output/build-output.ts'
import { usualBlobs } from '../output/build-output.ts'
import { noteOrigin, readOrigins } from './blob-origins.ts'
import type { PortableImage } from './portable-image.ts'
import { makePortable, openImage } from './portable-image.ts'

export interface PushOptions {
  /** The image's name, which says where to. */
  readonly name: string
  readonly maxConcurrentUploads?: number | undefined
}

const defaultConcurrentUploads = 5

/** Uploads an image under its own name; layers the registry has are not sent. @returns what the registry now calls it */
export async function pushImage(engine: Engine, { name, blobs = usualBlobs, maxConcurrentUploads }: PushOptions & { readonly blobs?: BlobOptions }, task: Task<TransferEvent>): Promise<Descriptor> {
  const image = await openImage(engine.store, findImage(engine.store, name))
  return uploadPortable(engine, { name, portable: await makePortable(engine.store, image, { blobs, task: silent(task) }), maxConcurrentUploads }, task)
}

/** Uploads an image whose blobs are in the store. */
export async function uploadPortable(engine: Engine, upload: PushOptions & { readonly portable: PortableImage }, task: Task<TransferEvent>): Promise<Descriptor> {
  const { store } = engine
  const { client } = await engine.registries()
  const { bytes, manifest, mediaType } = upload.portable
  const reference = parseReference(upload.name)
  const descriptor = await uploadImage(client, {
    reference,
    manifest: { bytes, mediaType },
    source: { read: (blob, readTask) => store.content.read(blob, readTask), origins: await readOrigins(store) },
    maxConcurrentUploads: upload.maxConcurrentUploads ?? defaultConcurrentUploads,
  }, task)
  await noteOrigin(store, reference, [...manifest.layers, manifest.config])
  return descriptor
}
