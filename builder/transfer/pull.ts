import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import type { Manifest } from '../../oci/manifest.ts'
import type { Platform } from '../../oci/platform.ts'
import type { Reference, RemoteImage, TransferEvent } from '../../registry-client/index.ts'
import { formatReference, pullImage as readRemoteImage, WrongContent } from '../../registry-client/index.ts'
import type { Store, StoredImage } from '../../storage/index.ts'
import type { Engine } from '../engine.ts'
import { askInTurn } from './ask-in-turn.ts'
import { noteOrigin } from './blob-origins.ts'
import { ensureLayers } from './image-layers.ts'

export interface PullOptions {
  readonly platform: Platform
  readonly maxConcurrentDownloads?: number
}

const defaultConcurrentDownloads = 3

/** An image in a registry, read as far as its config. */
export interface FoundImage {
  readonly reference: Reference
  /** The canonical name. */
  readonly name: string
  readonly remote: RemoteImage
  readonly manifest: Manifest
  readonly config: ImageConfig
}

export interface PulledImage extends StoredImage {
  /** The canonical name it was pulled by, one of its names. */
  readonly pulledName: string
}

/** Downloads an image with all its layers and gives it its name. */
export async function pullImage(engine: Engine, options: PullOptions & { readonly name: string }, task: Task<TransferEvent>): Promise<PulledImage> {
  const found = await findRemoteImage(engine, options, task)
  await pullLayers(engine, { found, ...options }, task)
  return { ...await recordImage(engine.store, { found, names: [found.name] }, silent(task)), pulledName: found.name }
}

/**
 * Looks a name up in its registry, or a short name in the search registries in turn.
 * @throws {ImageUnavailable} with what each registry answered
 */
export async function findRemoteImage(engine: Engine, { name, platform }: { name: string; platform: Platform }, task: Task<TransferEvent>): Promise<FoundImage> {
  return askInTurn(await engine.registries(), name, async (client, reference) => describe(reference, await readRemoteImage(client, { reference, platform }, task)))
}

/** Brings the image's layers into the store. */
export async function pullLayers(engine: Engine, { found, maxConcurrentDownloads }: { found: FoundImage; maxConcurrentDownloads?: number }, task: Task<TransferEvent>): Promise<void> {
  const { client } = await engine.registries()
  await ensureLayers<TransferEvent>(engine.store, {
    layers: found.manifest.layers,
    diffIds: found.config.rootfs.diff_ids,
    maxConcurrent: maxConcurrentDownloads ?? defaultConcurrentDownloads,
    open: ({ blob, fromByte }, fetchTask) => (fromByte === 0 ? client.fetchBlob(found.reference, blob, fetchTask) : client.continueBlob(found.reference, { blob, fromByte }, fetchTask)),
    isWorthRetrying: (error) => error instanceof WrongContent && error.isWorthRetrying,
  }, task)
  await noteOrigin(engine.store, found.reference, [...found.manifest.layers, found.manifest.config])
}

/** Stores the image's documents and points the names to it, once its layers are durable. */
export async function recordImage(store: Store, { found, names }: { found: FoundImage; names: readonly string[] }, task: Task): Promise<StoredImage> {
  const { manifest, remote } = found
  await store.content.ingest(remote.manifest.descriptor, once(remote.manifest.bytes), task)
  await store.content.ingest(manifest.config, once(remote.configBytes), task)
  await store.layers.sync(task)
  return store.images.put(remote.manifest.descriptor, manifest.config.digest, names)
}

function describe(reference: Reference, remote: RemoteImage): FoundImage {
  const { document } = remote.manifest
  if (document.kind === 'index') throw new TypeError('an image was asked for and an index given')
  return { reference, name: formatReference(reference), remote, manifest: document.manifest, config: parseImageConfig(remote.configBytes) }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve()
  yield bytes
}
