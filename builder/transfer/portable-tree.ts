import type { Task } from '../../core/task.ts'
import type { Annotations, Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { ImageIndex } from '../../oci/manifest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import { normalizePlatform } from '../../oci/platform.ts'
import type { BlobBegun, Store } from '../../storage/index.ts'
import { attest } from '../attest/attest.ts'
import type { Predicate } from '../attest/statement.ts'
import { UnsuitableRequest } from '../errors.ts'
import type { BlobOptions, ImageAnnotations } from '../output/build-output.ts'
import type { OpenedImage, PortableImage } from './portable-image.ts'
import { makePortable } from './portable-image.ts'

/** What is to leave the store under one name: an image, or one for each platform. */
export interface Departure {
  readonly members: readonly DepartingImage[]
  /** What statements call it. */
  readonly names: readonly string[]
  readonly annotations: ImageAnnotations
}

export interface DepartingImage {
  readonly image: OpenedImage
  /** Said of it beside it, in an index. */
  readonly predicates: readonly Predicate[]
}

/** Documents of which every blob is in the content store. */
export interface PortableTree {
  /** Of an index its images and what is said of them; otherwise the one image, which is `top` itself. */
  readonly parts: readonly PortableImage[]
  readonly top: Descriptor
  /** undefined for an image that needs none. */
  readonly index: Uint8Array | undefined
  /** What is said of which image. */
  readonly said: readonly { readonly image: Descriptor; readonly predicates: readonly Predicate[] }[]
}

/** An image alone stays what it is; of several, or with something said of it, an index is made. */
export async function makePortableTree(store: Store, { members, names, annotations }: Departure, { blobs, task }: { readonly blobs: BlobOptions; readonly task: Task<BlobBegun> }): Promise<PortableTree> {
  const images: { readonly portable: PortableImage; readonly entry: Descriptor; readonly predicates: readonly Predicate[] }[] = []
  for (const { image, predicates } of members) {
    const portable = await makePortable(store, image, { blobs, task })
    const descriptor = await store.content.write(portable.bytes, portable.mediaType)
    images.push({ portable, predicates, entry: { ...descriptor, platform: normalizePlatform(image.config), ...annotated(annotations.manifestDescriptor) } })
  }
  const [only, ...others] = images
  if (only === undefined) throw new UnsuitableRequest('an index without images is nothing')
  if (others.length === 0 && only.predicates.length === 0 && Object.keys(annotations.index).length === 0) return { parts: [only.portable], top: only.entry, index: undefined, said: [] }
  const said = images.filter(({ predicates }) => predicates.length > 0).map(({ entry, predicates }) => ({ image: entry, predicates }))
  const attestations = await Promise.all(said.map(({ image, predicates }) => attest(store, image, { predicates, names })))
  const index: ImageIndex = {
    schemaVersion: 2,
    mediaType: blobs.mediaTypes === 'oci' ? mediaTypes.ociIndex : mediaTypes.dockerIndex,
    manifests: [...images, ...attestations].map(({ entry }) => entry),
    ...annotated(annotations.index),
  }
  const bytes = encodeDocument(index)
  return { parts: [...images.map(({ portable }) => portable), ...attestations], top: await store.content.write(bytes, index.mediaType), index: bytes, said }
}

function annotated(annotations: Annotations): { annotations?: Annotations } {
  return Object.keys(annotations).length === 0 ? {} : { annotations }
}
