import { join } from 'node:path'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { DiffId } from '../../oci/digest.ts'
import { digestAsDiffId, sha256 } from '../../oci/digest.ts'
import { encodeImageConfig } from '../../oci/image-config.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import type { Layer, Store } from '../../storage/index.ts'
import { stream, task } from './streams.ts'
import { archive } from './tar-forge.ts'

export interface TestImage {
  readonly manifest: Descriptor
  readonly config: Descriptor
}

/** Where a store keeps a blob. */
export function blobPath({ root }: Pick<Store, 'root'>, digest: string): string {
  return join(root, 'content', 'blobs', 'sha256', digest.slice(7))
}

export function diffIdOf(tar: Buffer): DiffId {
  return digestAsDiffId(sha256(tar))
}

/** A layer of these tar entries on nothing. */
export function applied(store: Store, ...entries: readonly Buffer[]): Promise<Layer> {
  return store.layers.apply(undefined, stream(archive(...entries)), undefined, task)
}

/** Writes config and manifest of an image of these layers, bottom first, with a blob for each. It is not recorded yet. */
export async function writeImage(store: Store, layers: readonly Layer[], comment = ''): Promise<TestImage> {
  const blobs: Descriptor[] = []
  for (const layer of layers) blobs.push(await store.layerBlob(layer.chainId, 'gzip', task))
  return writeDocuments(store, { blobs, diffIds: layers.map((layer) => layer.diffId), comment })
}

/** The same, whatever blobs the manifest names. */
export async function writeDocuments(store: Store, image: { readonly blobs: readonly Descriptor[]; readonly diffIds: readonly DiffId[]; readonly comment: string }): Promise<TestImage> {
  const bytes = encodeImageConfig({ os: 'linux', architecture: 'amd64', author: image.comment, config: { Cmd: ['/bin/sh'] }, rootfs: { type: 'layers', diff_ids: image.diffIds } })
  const config = await store.content.write(bytes, mediaTypes.ociConfig)
  const document = encodeDocument({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: image.blobs })
  return { manifest: await store.content.write(document, mediaTypes.ociManifest), config }
}
