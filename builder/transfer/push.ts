import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { TransferEvent } from '../../registry-client/index.ts'
import { parseReference, pushImage as uploadImage } from '../../registry-client/index.ts'
import type { Engine } from '../engine.ts'
import { findImage } from '../find-image.ts'
import { noteOrigin, readOrigins } from './blob-origins.ts'
import { makePortable, openImage } from './portable-image.ts'

export interface PushOptions {
  /** The image's name, which says where to. */
  readonly name: string
  readonly maxConcurrentUploads?: number
}

const defaultConcurrentUploads = 5

/** Uploads an image under its own name; layers the registry has are not sent. @returns what the registry now calls it */
export async function pushImage(engine: Engine, { name, maxConcurrentUploads }: PushOptions, task: Task<TransferEvent>): Promise<Descriptor> {
  const { store } = engine
  const image = await openImage(store, findImage(store, name))
  const { client } = await engine.registries()
  const { bytes, manifest, mediaType } = await makePortable(store, image, { compression: 'gzip', task: silent(task) })
  const reference = parseReference(name)
  const descriptor = await uploadImage(client, {
    reference,
    manifest: { bytes, mediaType },
    source: { read: (blob, readTask) => store.content.read(blob, readTask), origins: await readOrigins(store) },
    maxConcurrentUploads: maxConcurrentUploads ?? defaultConcurrentUploads,
  }, task)
  await noteOrigin(store, reference, [...manifest.layers, manifest.config])
  return descriptor
}
