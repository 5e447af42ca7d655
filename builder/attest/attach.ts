import type { Annotations, Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestAsDiffId } from '../../oci/digest.ts'
import { encodeImageConfig } from '../../oci/image-config.ts'
import type { ImageIndex, Manifest } from '../../oci/manifest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import type { Store } from '../../storage/index.ts'
import type { PortableImage } from '../transfer/portable-image.ts'
import type { Predicate } from './statement.ts'
import { encodeStatement } from './statement.ts'

/** Claims that go with an image, and what its index is to say. */
export interface Attachment {
  readonly predicates: readonly Predicate[]
  /** What the image is called in the statements. */
  readonly names: readonly string[]
  readonly annotations: { readonly index: Annotations; readonly manifestDescriptor: Annotations }
}

/** An index of an image and of what is said about it. */
export interface AttestedImage {
  /** Its blobs are in the content store. */
  readonly attestation: PortableImage
  readonly index: { readonly bytes: Uint8Array; readonly descriptor: Descriptor }
}

/**
 * Makes the manifest whose layers are the statements, and the index of both, as BuildKit does. The subject lets registries
 * list the manifest among the image's referrers too.
 * @see docs.docker.com "Image attestation storage"; image-spec manifest.md "subject"
 */
export async function attachStatements(store: Store, image: Descriptor, { predicates, names, annotations }: Attachment): Promise<AttestedImage> {
  const layers: Descriptor[] = []
  for (const predicate of predicates) {
    const blob = await store.content.write(encodeStatement(predicate, { names, digest: image.digest }), inTotoType)
    layers.push({ ...blob, annotations: { 'in-toto.io/predicate-type': predicate.type } })
  }
  const config = await store.content.write(encodeImageConfig({ architecture: 'unknown', os: 'unknown', config: {}, rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digestAsDiffId(digest)) }, history: [] }), mediaTypes.ociConfig)
  const { mediaType, digest, size } = image
  const manifest: Manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: attestationType, config, layers, subject: { mediaType, digest, size } }
  const bytes = encodeDocument(manifest)
  const descriptor = await store.content.write(bytes, mediaTypes.ociManifest)
  const index: ImageIndex = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      { ...image, ...annotated(annotations.manifestDescriptor) },
      { ...descriptor, platform: { os: 'unknown', architecture: 'unknown' }, annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': digest } },
    ],
    ...annotated(annotations.index),
  }
  const indexBytes = encodeDocument(index)
  return { attestation: { manifest, bytes, mediaType: mediaTypes.ociManifest }, index: { bytes: indexBytes, descriptor: await store.content.write(indexBytes, mediaTypes.ociIndex) } }
}

const inTotoType = 'application/vnd.in-toto+json'
const attestationType = 'application/vnd.docker.attestation.manifest.v1+json'

function annotated(annotations: Annotations): { annotations?: Annotations } {
  return Object.keys(annotations).length === 0 ? {} : { annotations }
}
