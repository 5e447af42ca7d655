import type { Readable } from 'node:stream'
import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { layerMediaType, mediaTypes } from '../../oci/descriptor.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { isObject } from '../../oci/json.ts'
import type { ImageIndex, Manifest } from '../../oci/manifest.ts'
import { encodeDocument, parseManifestDocument } from '../../oci/manifest.ts'
import { formatPlatform, hostPlatform } from '../../oci/platform.ts'
import type { Platform } from '../../oci/platform.ts'
import { selectPlatform } from '../../registry-client/index.ts'
import type { Store, StoredImage } from '../../storage/index.ts'
import { checkPlatform } from '../check-platform.ts'
import type { Engine } from '../engine.ts'
import { MalformedArchive } from './errors.ts'
import { canonicalName } from '../find-image.ts'
import { ensureLayers } from '../transfer/image-layers.ts'
import type { ArchiveFiles } from './read-archive.ts'
import { readArchive } from './read-archive.ts'

interface ListedImage {
  /** In the content store. */
  readonly descriptor: Descriptor
  readonly manifest: Manifest
  readonly config: ImageConfig
  readonly names: readonly string[]
}

/**
 * Reads the images of an archive and gives them the names it says, as docker load does: an OCI image layout in a tar, or
 * what `docker save` writes, old or new. Of several platforms the given one is taken, by
 * default this machine's; an image of the only other one is not what was asked for.
 * @throws {MalformedArchive} @throws {ImageUnavailable}
 */
export async function loadImages({ store }: Engine, { archive, platform }: { archive: Readable; platform: Platform | undefined }, task: Task): Promise<StoredImage[]> {
  const listed = await list(store, { archive, platform: platform ?? hostPlatform(process.arch) }, task)
  for (const { names, descriptor, config } of listed) checkPlatform(names[0] ?? descriptor.digest, config, platform)
  const loaded: StoredImage[] = []
  for (const image of listed) loaded.push(await storeImage(store, image, task))
  return loaded
}

/** The images of an archive with the names it says, each as it lies there: an index stays one. Their blobs are in the content store. */
export async function listImages(store: Store, files: ArchiveFiles): Promise<{ readonly descriptor: Descriptor; readonly names: readonly string[] }[]> {
  if (isDocker(files)) return listDocker(store, files)
  const document = parseManifestDocument(await files.readDocument('index.json'), mediaTypes.ociIndex)
  if (document.kind !== 'index') throw new MalformedArchive('its index.json is no index')
  return document.index.manifests.map(({ mediaType, digest, size, annotations }) => ({
    descriptor: { mediaType, digest, size },
    names: [annotations?.['org.opencontainers.image.ref.name'], annotations?.['io.containerd.image.name']].filter((name) => name !== undefined),
  }))
}

/** The images of an archive with their documents, their blobs in the content store until the next gc. @throws {MalformedArchive} */
export function readImages({ store }: Engine, source: { archive: Readable; platform: Platform }, task: Task): Promise<readonly Pick<ListedImage, 'manifest' | 'config'>[]> {
  return list(store, source, task)
}

async function list(store: Store, { archive, platform }: { archive: Readable; platform: Platform }, task: Task): Promise<ListedImage[]> {
  const files = await readArchive(store, archive, task)
  return isDocker(files) ? listDocker(store, files) : listLayout(store, files, platform)
}

/** Newer ones are both, and only the layout has the manifests with their digests. */
function isDocker(files: ArchiveFiles): boolean {
  return files.has('manifest.json') && !files.has('index.json')
}

async function storeImage(store: Store, { descriptor, manifest, config, names }: ListedImage, task: Task): Promise<StoredImage> {
  await ensureLayers(store, {
    layers: manifest.layers,
    diffIds: config.rootfs.diff_ids,
    maxConcurrent: 2,
    open: ({ blob }) => { throw new MalformedArchive(`it lacks the layer "${blob.digest}"`) },
    isWorthRetrying: () => false,
  }, task)
  await store.layers.sync(task)
  return store.images.put(descriptor, manifest.config.digest, names.map(canonicalName))
}

/** @see image-spec image-layout.md "index.json file" */
async function listLayout(store: Store, files: ArchiveFiles, platform: Platform): Promise<ListedImage[]> {
  const document = parseManifestDocument(await files.readDocument('index.json'), mediaTypes.ociIndex)
  if (document.kind !== 'index') throw new MalformedArchive('its index.json is no index')
  const byDigest = new Map<string, { entry: Descriptor; names: string[] }>()
  for (const entry of document.index.manifests) {
    const known = byDigest.get(entry.digest) ?? { entry, names: [] }
    const name = entry.annotations?.['io.containerd.image.name']
    byDigest.set(entry.digest, { entry, names: name === undefined ? known.names : [...known.names, name] })
  }
  return Promise.all([...byDigest.values()].map(({ entry, names }) => openEntry(store, { entry, names }, platform)))
}

/** An index may point to indexes, but nobody needs more of that than this. */
const maxIndexDepth = 4

async function openEntry(store: Store, { entry, names, depth = 0 }: { entry: Descriptor; names: readonly string[]; depth?: number }, platform: Platform): Promise<ListedImage> {
  if (depth > maxIndexDepth) throw new MalformedArchive(`its indexes are nested deeper than ${maxIndexDepth}`)
  const document = parseManifestDocument(await readBlob(store, entry), entry.mediaType)
  if (document.kind === 'manifest') {
    const config = parseImageConfig(await readBlob(store, document.manifest.config))
    return { descriptor: entry, manifest: document.manifest, config, names }
  }
  return openEntry(store, { entry: selectEntry(document.index, platform), names, depth: depth + 1 }, platform)
}

function selectEntry(index: ImageIndex, platform: Platform): Descriptor {
  const entry = selectPlatform(index, platform)
  if (entry === undefined) throw new MalformedArchive(`it has no image for ${formatPlatform(platform)}`)
  return entry
}

async function readBlob(store: Store, blob: Descriptor): Promise<Uint8Array> {
  if (store.content.find(blob.digest) === undefined) throw new MalformedArchive(`it lacks the blob "${blob.digest}"`)
  return store.content.readDocument(blob)
}

/** @see Docker image specification v1.2 "Combined Image JSON + Filesystem Changeset Format" */
async function listDocker(store: Store, files: ArchiveFiles): Promise<ListedImage[]> {
  const entries = parseDockerManifest(await files.readDocument('manifest.json'))
  return Promise.all(entries.map((entry) => openDockerEntry(store, files, entry)))
}

interface DockerEntry {
  readonly config: string
  readonly names: readonly string[]
  readonly layers: readonly string[]
}

async function openDockerEntry(store: Store, files: ArchiveFiles, { config: configName, names, layers }: DockerEntry): Promise<ListedImage> {
  const configBytes = await files.readDocument(configName)
  const config = parseImageConfig(configBytes)
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await store.content.write(configBytes, mediaTypes.ociConfig),
    layers: layers.map((name): Descriptor => {
      const blob = files.find(name)
      if (blob === undefined) throw new MalformedArchive(`it lacks the layer "${name}"`)
      return { ...blob, mediaType: layerMediaType('none') }
    }),
  }
  return { descriptor: await store.content.write(encodeDocument(manifest), mediaTypes.ociManifest), manifest, config, names }
}

function parseDockerManifest(bytes: Uint8Array): DockerEntry[] {
  const list = parseList(bytes)
  return list.map((item) => {
    if (!isObject(item) || typeof item['Config'] !== 'string') throw new MalformedArchive('its manifest.json has an entry without Config')
    return { config: item['Config'], names: texts(item['RepoTags']), layers: texts(item['Layers']) }
  })
}

function parseList(bytes: Uint8Array): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (Array.isArray(value)) return value
  } catch (error) {
    throw new MalformedArchive('its manifest.json is not JSON', { cause: error })
  }
  throw new MalformedArchive('its manifest.json is not a list')
}

function texts(value: unknown): string[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw new MalformedArchive('its manifest.json has a list that is none of texts')
}
