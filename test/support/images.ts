/** Images made up for tests, and ways to put them into a test registry. */
import { randomBytes } from 'node:crypto'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { sha256 } from '../../oci/digest.ts'
import type { BlobSource } from '../../registry-client/client.ts'
import type { Reference } from '../../registry-client/reference.ts'
import { parseReference } from '../../registry-client/reference.ts'
import type { TestRegistry, TlsFiles } from './registry.ts'
import { startRegistry } from './registry.ts'

export interface TestImage {
  readonly manifest: { readonly bytes: Buffer; readonly mediaType: string; readonly descriptor: Descriptor }
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly blobs: ReadonlyMap<string, Buffer>
}

export function describeBytes(bytes: Uint8Array, mediaType: string = mediaTypes.ociLayer): Descriptor {
  return { mediaType, digest: sha256(bytes), size: bytes.byteLength }
}

/** An image with layers of random bytes, uncompressed, so that their digests are their diffIDs. */
export function createImage(options: { layerBytes?: readonly number[]; platform?: { os: string; architecture: string; variant?: string } } = {}): TestImage {
  const contents = (options.layerBytes ?? [1000]).map((count) => randomBytes(count))
  const layers = contents.map((bytes) => describeBytes(bytes))
  const config = Buffer.from(JSON.stringify({
    ...(options.platform ?? { os: 'linux', architecture: 'amd64' }),
    config: { Cmd: ['/bin/true'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  }))
  const configDescriptor = describeBytes(config, mediaTypes.ociConfig)
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: configDescriptor, layers }))
  return {
    manifest: { bytes, mediaType: mediaTypes.ociManifest, descriptor: describeBytes(bytes, mediaTypes.ociManifest) },
    config: configDescriptor,
    layers,
    blobs: new Map([config, ...contents].map((content) => [sha256(content), content])),
  }
}

/** Puts an image where a client can pull it, under a tag and its digest. */
export function publish(registry: TestRegistry, image: TestImage, name: { repository: string; tag: string }): void {
  for (const [digest, bytes] of image.blobs) registry.blobs.set(digest, bytes)
  for (const key of [name.tag, image.manifest.descriptor.digest]) registry.manifests.set(`${name.repository} ${key}`, image.manifest)
}

/** A registry that has the image as `app:1`. */
export async function startWithImage(image: TestImage, options: { readonly tls?: TlsFiles } = {}): Promise<TestRegistry> {
  const registry = await startRegistry(options)
  publish(registry, image, { repository: 'app', tag: '1' })
  return registry
}

/** Serves a document as the manifest `app:1`, and by its digest. */
export function serveManifest(registry: TestRegistry, document: unknown, mediaType: string = mediaTypes.ociManifest): Descriptor {
  const bytes = typeof document === 'string' ? Buffer.from(document) : Buffer.from(JSON.stringify(document))
  for (const key of ['1', sha256(bytes)]) registry.manifests.set(`app ${key}`, { bytes, mediaType })
  return describeBytes(bytes, mediaType)
}

/** The name `app:1` in a registry. */
export function appOf({ host }: Pick<TestRegistry, 'host'>, repository = 'app'): Reference {
  return parseReference(`${host}/${repository}:1`)
}

/** Gives the bytes in pieces of 64 KiB. */
export function sourceOf(blobs: ReadonlyMap<string, Buffer>): BlobSource {
  return {
    async *read({ digest }) {
      const bytes = blobs.get(digest) ?? Buffer.alloc(0)
      for (let start = 0; start < bytes.byteLength; start += 65536) yield await Promise.resolve(bytes.subarray(start, start + 65536))
    },
  }
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}
