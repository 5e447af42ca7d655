import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { digestAsDiffId } from '../../oci/digest.ts'
import { encodeImageConfig } from '../../oci/image-config.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import type { Store } from '../../storage/index.ts'
import type { PortableImage } from '../transfer/portable-image.ts'
import type { Predicate } from './statement.ts'
import { encodeStatement } from './statement.ts'

/** A manifest whose layers are statements; its blobs are in the content store. */
export interface Attestation extends PortableImage {
  /** What an index says of it. */
  readonly entry: Descriptor
}

/**
 * Makes the manifest whose layers are the statements about an image, as BuildKit does. The subject lets registries list the
 * manifest among the image's referrers too.
 * @see docs.docker.com "Image attestation storage"; image-spec manifest.md "subject"
 */
export async function attest(store: Store, image: Descriptor, { predicates, names }: { readonly predicates: readonly Predicate[]; readonly names: readonly string[] }): Promise<Attestation> {
  const layers: Descriptor[] = []
  for (const predicate of predicates) {
    const blob = await store.content.write(encodeStatement(predicate, { names, digests: [image.digest] }), inTotoType)
    layers.push({ ...blob, annotations: { 'in-toto.io/predicate-type': predicate.type } })
  }
  const config = await store.content.write(encodeImageConfig({ architecture: 'unknown', os: 'unknown', config: {}, rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digestAsDiffId(digest)) }, history: [] }), mediaTypes.ociConfig)
  const { mediaType, digest, size } = image
  const manifest: Manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: attestationType, config, layers, subject: { mediaType, digest, size } }
  const bytes = encodeDocument(manifest)
  const descriptor = await store.content.write(bytes, mediaTypes.ociManifest)
  const reference = { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': digest }
  return { manifest, bytes, mediaType: mediaTypes.ociManifest, entry: { ...descriptor, platform: { os: 'unknown', architecture: 'unknown' }, annotations: reference } }
}

const inTotoType = 'application/vnd.in-toto+json'
const attestationType = 'application/vnd.docker.attestation.manifest.v1+json'
