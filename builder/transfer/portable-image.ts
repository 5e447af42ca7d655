import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { asOciLayer, findLayerCompression, mediaTypes } from '../../oci/descriptor.ts'
import type { ChainId } from '../../oci/digest.ts'
import { chainIds } from '../../oci/digest.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { encodeDocument, parseManifestDocument } from '../../oci/manifest.ts'
import type { Platform } from '../../oci/platform.ts'
import { hostPlatform, platformDistance } from '../../oci/platform.ts'
import type { BlobBegun, Store, StoredImage } from '../../storage/index.ts'
import { ImageNotFound, UnsuitableRequest } from '../errors.ts'
import type { BlobOptions } from '../output/build-output.ts'

/** An image of the store with its documents read. */
export interface OpenedImage {
  readonly stored: StoredImage
  readonly manifest: Manifest
  readonly manifestBytes: Uint8Array
  readonly config: ImageConfig
  readonly configBytes: Uint8Array
  /** One for each layer, bottom first. */
  readonly chain: readonly ChainId[]
}

/**
 * Of an index the image that suits the platform best, or the first where none does. What is opened stays until the store
 * is closed. @throws {ImageNotFound} when it was removed since it was found
 */
export async function openImage(store: Store, stored: StoredImage, platform: Platform = hostPlatform(process.arch)): Promise<OpenedImage> {
  const images = await openImages(store, stored)
  const suitable = images.map((image) => ({ image, distance: platformDistance(platform, image.config) ?? Infinity }))
  const [best] = suitable.sort((one, other) => one.distance - other.distance)
  if (best === undefined) throw new ImageNotFound(stored.names[0] ?? stored.id, undefined)
  return best.image
}

/** All images of an index in its order, each as if it were stored alone; otherwise the image itself. @throws {ImageNotFound} */
export async function openImages(store: Store, stored: StoredImage): Promise<OpenedImage[]> {
  if (!store.images.lease(stored.id)) throw new ImageNotFound(stored.names[0] ?? stored.id, undefined)
  const bytes = await store.content.readDocument(stored.manifest)
  const document = parseManifestDocument(bytes, stored.manifest.mediaType)
  if (document.kind === 'manifest') return [await openManifest(store, stored, { manifest: document.manifest, bytes })]
  return Promise.all(document.index.manifests.map(async (entry) => {
    const memberBytes = await store.content.readDocument(entry)
    const member = parseManifestDocument(memberBytes, entry.mediaType)
    if (member.kind === 'index') throw new TypeError(`image ${stored.id} is an index of an index`)
    const { mediaType, digest, size } = entry
    return openManifest(store, { ...stored, id: member.manifest.config.digest, manifest: { mediaType, digest, size } }, { manifest: member.manifest, bytes: memberBytes })
  }))
}

async function openManifest(store: Store, stored: StoredImage, { manifest, bytes }: { readonly manifest: Manifest; readonly bytes: Uint8Array }): Promise<OpenedImage> {
  const configBytes = await store.content.readDocument(manifest.config)
  const config = parseImageConfig(configBytes)
  return { stored, manifest, manifestBytes: bytes, config, configBytes, chain: chainIds(config.rootfs.diff_ids) }
}

/** An image all of whose blobs are in the content store, so that it can leave it. */
export interface PortableImage {
  readonly manifest: Manifest
  readonly bytes: Uint8Array
  readonly mediaType: string
}

/**
 * The image with a blob for each layer: those whose blob is there and compressed stay as they are unless told otherwise,
 * the others become blobs of the given compression. When nothing has to change the original bytes, and so the digest, are kept.
 * @throws {UnsuitableRequest} for what Docker's media types cannot say
 */
export async function makePortable(store: Store, image: OpenedImage, { blobs, task }: { readonly blobs: BlobOptions; readonly task: Task<BlobBegun> }): Promise<PortableImage> {
  const { manifest, manifestBytes, chain } = image
  if (blobs.mediaTypes === 'docker' && blobs.compression === 'zstd') throw new UnsuitableRequest('Docker media types have no zstd; take those of OCI (--format oci, with an output oci-mediatypes=true) or another compression')
  const layers: Descriptor[] = []
  for (const [index, layer] of manifest.layers.entries()) layers.push(await portableLayer(store, { layer, chainId: chain[index], blobs }, task))
  const isSame = layers.every((layer, index) => layer.digest === manifest.layers[index]?.digest)
  if (isSame && blobs.mediaTypes === 'oci') return { manifest, bytes: manifestBytes, mediaType: image.stored.manifest.mediaType }
  const changed = blobs.mediaTypes === 'oci'
    ? { ...manifest, mediaType: mediaTypes.ociManifest, config: { ...manifest.config, mediaType: mediaTypes.ociConfig }, layers: layers.map(asOciLayer) }
    : { ...manifest, mediaType: mediaTypes.dockerManifest, config: { ...manifest.config, mediaType: mediaTypes.dockerConfig }, layers: layers.map(dockerLayer) }
  return { manifest: changed, bytes: encodeDocument(changed), mediaType: changed.mediaType }
}

async function portableLayer(store: Store, { layer, chainId, blobs }: { layer: Descriptor; chainId: ChainId | undefined; blobs: BlobOptions }, task: Task<BlobBegun>): Promise<Descriptor> {
  const compression = findLayerCompression(layer.mediaType)
  const mayStay = compression !== 'none' && (!blobs.isForced || compression === blobs.compression && blobs.level === undefined)
  if (mayStay && store.content.find(layer.digest) !== undefined) return layer
  if (chainId === undefined) throw new TypeError(`layer ${layer.digest} has no diffID in the image's config`)
  return store.layerBlob(chainId, blobs, task)
}

function dockerLayer(layer: Descriptor): Descriptor {
  return { ...layer, mediaType: findLayerCompression(layer.mediaType) === 'none' ? mediaTypes.dockerLayer : mediaTypes.dockerLayerGzip }
}
