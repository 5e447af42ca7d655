import type { Task } from '../core/task.ts'
import { silent } from '../core/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/descriptor.ts'
import { MalformedDocument, UnsupportedMediaType } from '../oci/errors.ts'
import { parseImageConfig } from '../oci/image-config.ts'
import { maxDocumentBytes } from '../oci/json.ts'
import type { Manifest } from '../oci/manifest.ts'
import { imageLayers } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import { formatPlatform, platformDistance } from '../oci/platform.ts'
import type { FetchedManifest, PullRequest, RegistryClient, RemoteImage, TransferEvent } from './client.ts'
import { PlatformUnavailable, WrongContent } from './errors.ts'
import { nameSender } from './name-sender.ts'
import type { Reference } from './reference.ts'
import { formatReference } from './reference.ts'
import { listPlatforms, selectPlatform } from './select-platform.ts'
import { refuseForeign } from './transfer/download.ts'

/** An index may point to indexes, but nobody needs more of that than this. */
const maxIndexDepth = 4

/**
 * Chooses the image for the platform and reads its manifest and config, all verified; of the layers only their kind and
 * number is checked. They are the caller's to fetch.
 * @throws {ManifestUnknown} @throws {PlatformUnavailable} @throws {UnsupportedMediaType} @throws {MalformedDocument}
 */
export async function pullImage(client: RegistryClient, { reference, platform }: PullRequest, task: Task<TransferEvent>): Promise<RemoteImage> {
  let fetched = await client.fetchManifest(reference, silent(task))
  const target = fetched.descriptor
  for (let depth = 0; fetched.document.kind === 'index'; depth += 1) {
    if (depth === maxIndexDepth) throw new MalformedDocument('index', `indexes of "${formatReference(reference)}" are nested deeper than ${maxIndexDepth}`)
    const entry = selectPlatform(fetched.document.index, platform)
    if (entry === undefined) throw unavailable(reference, platform, listPlatforms(fetched.document.index))
    fetched = await fetchEntry(client, { reference, entry }, task)
  }
  const { manifest } = fetched.document
  const sender = { host: reference.registry, name: formatReference(reference) }
  nameSender(sender, () => { checkKind(manifest) })
  const configBytes = await fetchConfig(client, { reference, config: manifest.config }, task)
  nameSender(sender, () => { checkConfig(configBytes, { reference, manifest, platform }) })
  return { target, manifest: fetched, configBytes }
}

async function fetchEntry(client: RegistryClient, { reference, entry }: { reference: Reference; entry: Descriptor }, task: Task<TransferEvent>): Promise<FetchedManifest> {
  const fetched = await client.fetchManifest({ ...reference, digest: entry.digest }, silent(task))
  const { mediaType, size } = fetched.descriptor
  if (mediaType !== entry.mediaType || size !== entry.size) {
    throw new MalformedDocument('index', `"${formatReference(reference)}" says of "${entry.digest}" that it is ${entry.mediaType} of ${entry.size} bytes, and it is ${mediaType} of ${size} bytes`)
  }
  return fetched
}

function checkKind(manifest: Manifest): void {
  const { config } = manifest
  if (config.mediaType !== mediaTypes.ociConfig && config.mediaType !== mediaTypes.dockerConfig) {
    throw new UnsupportedMediaType(config.mediaType, 'this is not the config of an image but of some other artifact')
  }
  if (config.size > maxDocumentBytes) throw new MalformedDocument('image config', `it has ${config.size} bytes, more than ${maxDocumentBytes}`)
  imageLayers(manifest).forEach(refuseForeign)
}

/** Asks again while another place may have the right bytes. */
async function fetchConfig(client: RegistryClient, { reference, config }: { reference: Reference; config: Descriptor }, task: Task<TransferEvent>): Promise<Uint8Array> {
  for (;;) {
    try {
      const chunks: Uint8Array[] = []
      for await (const chunk of client.fetchBlob(reference, config, task)) chunks.push(chunk)
      return Buffer.concat(chunks)
    } catch (error) {
      if (!(error instanceof WrongContent && error.isWorthRetrying)) throw error
    }
  }
}

function checkConfig(bytes: Uint8Array, { reference, manifest, platform }: { reference: Reference; manifest: Manifest; platform: Platform }): void {
  const config = parseImageConfig(bytes)
  if (platformDistance(platform, config) === undefined) throw unavailable(reference, platform, [formatPlatform(config)])
  const diffIds = config.rootfs.diff_ids.length
  if (diffIds !== manifest.layers.length) {
    throw new MalformedDocument('image config', `it lists ${diffIds} layers and the manifest ${manifest.layers.length}`)
  }
}

function unavailable(reference: Reference, wanted: Platform, available: readonly string[]): PlatformUnavailable {
  return new PlatformUnavailable(formatReference(reference), formatPlatform(wanted), available)
}
