import { createLimit, allOrNone } from '../core/limit.ts'
import type { Task } from '../core/task.ts'
import { silent } from '../core/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { UnsupportedMediaType } from '../oci/errors.ts'
import { parseManifestDocument } from '../oci/manifest.ts'
import type { BlobSource, RegistryClient, TransferEvent } from './client.ts'
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
  const document = parseManifestDocument(manifest.bytes, manifest.mediaType)
  if (document.kind === 'index') throw new UnsupportedMediaType(manifest.mediaType, 'push the images of an index one by one, then the index by pushManifest')
  const { config, layers } = document.manifest
  layers.forEach(refuseForeign)
  const blobs = new Map([...layers, config].map((blob) => [blob.digest, blob]))
  const siblings = new AbortController()
  const signal = AbortSignal.any([task.signal, siblings.signal])
  const limit = createLimit(maxConcurrentUploads, signal)
  const uploads = [...blobs.values()].map((blob) => limit(() => client.pushBlob(reference, { blob, source }, { signal, emit: task.emit })))
  await allOrNone(uploads, (reason) => { siblings.abort(reason) })
  return writeWhenSeen(() => client.pushManifest(reference, manifest, silent(task)), task.signal)
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
