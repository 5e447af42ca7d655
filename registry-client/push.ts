import { createLimit, allOrNone } from '../core/limit.ts'
import type { Task } from '../core/task.ts'
import { silent } from '../core/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { UnsupportedMediaType } from '../oci/errors.ts'
import { parseManifestDocument } from '../oci/manifest.ts'
import type { BlobSource, GrowingBlob, RegistryClient, TransferEvent } from './client.ts'
import { UnexpectedStatus } from './errors.ts'
import { pause } from './http/retry.ts'
import type { Reference } from './reference.ts'
import { refuseForeign } from './transfer/download.ts'

export interface PushRequest {
  /** Its tag is set; without one the manifest is written by digest. */
  readonly reference: Reference
  readonly manifest: { readonly bytes: Uint8Array; readonly mediaType: string }
  readonly source: BlobSource
  readonly maxConcurrentUploads: number
}

/** Pushes the image's config and layers at once, each blob once, and when all are there its manifest. @returns the manifest's descriptor */
export async function pushImage(client: RegistryClient, { reference, manifest, source, maxConcurrentUploads }: PushRequest, task: Task<TransferEvent>): Promise<Descriptor> {
  return createPush(client, { reference, maxConcurrentUploads }, task).finish({ reference, manifest, source })
}

/** A push whose blobs may be under way before there is a manifest. Its uploads count together. */
export interface Push {
  /** Uploads a blob while it is made. What fails is told by `finish`, or by whoever makes the blob. */
  begin(growing: GrowingBlob): void
  /** Pushes what of the image is not under way, and then its manifest. To be called when all that was begun is made, for each image of the repository. */
  finish(image: Omit<PushRequest, 'maxConcurrentUploads'>): Promise<Descriptor>
  /** Ends what is under way. */
  stop(reason: unknown): Promise<void>
}

export function createPush(client: RegistryClient, { reference, maxConcurrentUploads }: Pick<PushRequest, 'reference' | 'maxConcurrentUploads'>, task: Task<TransferEvent>): Push {
  const siblings = new AbortController()
  const signal = AbortSignal.any([task.signal, siblings.signal])
  const limit = createLimit(maxConcurrentUploads, signal)
  const begun: { readonly growing: GrowingBlob; readonly upload: Promise<Descriptor> }[] = []
  return {
    begin: (growing) => {
      const upload = limit(() => client.pushGrowing(reference, growing, { signal, emit: task.emit }))
      // It is awaited in the end; until then a failure is not unhandled.
      upload.catch(() => undefined)
      begun.push({ growing, upload })
    },
    finish: async ({ reference: name, manifest, source }) => {
      const blobs = listBlobs(manifest)
      const made = await Promise.all(begun.map(({ growing }) => growing.more(Infinity)))
      for (const { blob } of made) if (blob !== undefined) blobs.delete(blob.digest)
      const uploads = [...blobs.values()].map((blob) => limit(() => client.pushBlob(name, { blob, source }, { signal, emit: task.emit })))
      await allOrNone<unknown>([...begun.map(({ upload }) => upload), ...uploads], (reason) => { siblings.abort(reason) })
      return writeWhenSeen(() => client.pushManifest(name, manifest, silent(task)), task.signal)
    },
    stop: async (reason) => {
      siblings.abort(reason)
      await Promise.allSettled(begun.map(({ upload }) => upload))
    },
  }
}

function listBlobs({ bytes, mediaType }: PushRequest['manifest']): Map<Digest, Descriptor> {
  const document = parseManifestDocument(bytes, mediaType)
  if (document.kind === 'index') throw new UnsupportedMediaType(mediaType, 'push the images of an index one by one, then the index by pushManifest')
  const { config, layers } = document.manifest
  layers.forEach(refuseForeign)
  return new Map([...layers, config].map((blob) => [blob.digest, blob]))
}

/** So long a registry behind several machines may need until all of them see the blobs that one of them has confirmed. */
const visibilityWaitsMs = [200, 1000, 3000]

async function writeWhenSeen(write: () => Promise<Descriptor>, signal: AbortSignal): Promise<Descriptor> {
  for (const waitMs of visibilityWaitsMs) {
    try {
      return await write()
    } catch (error) {
      if (!(error instanceof UnexpectedStatus && error.registryCodes.includes('MANIFEST_BLOB_UNKNOWN'))) throw error
      await pause(waitMs, signal)
    }
  }
  return write()
}
