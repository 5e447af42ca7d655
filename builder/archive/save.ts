import type { Task } from '../../core/task.ts'
import type { Annotations, Descriptor } from '../../oci/descriptor.ts'
import { digestHex } from '../../oci/digest.ts'
import { normalizePlatform } from '../../oci/platform.ts'
import { formatFamiliar, parseReference } from '../../registry-client/index.ts'
import type { Store } from '../../storage/index.ts'
import type { Engine } from '../engine.ts'
import { canonicalName, findImage } from '../find-image.ts'
import type { BlobOptions } from '../output/build-output.ts'
import { usualBlobs } from '../output/build-output.ts'
import type { OpenedImage } from '../transfer/portable-image.ts'
import { makePortable, openImage } from '../transfer/portable-image.ts'
import type { ArchiveSink } from './archive-sink.ts'

export type ArchiveFormat = 'oci-archive' | 'docker-archive' | 'oci-dir'

export interface NamedImage {
  readonly image: OpenedImage
  /** What it is called in the archive; empty for an image given by id. */
  readonly names: readonly string[]
  /** On the entry of a layout's index. */
  readonly annotations?: Annotations
}

/** Writes images, given by name or id, to a sink: as an OCI image layout, or as `docker save` did before it wrote one. */
export async function saveImages(engine: Engine, { images, format, sink }: { images: readonly string[]; format: ArchiveFormat; sink: ArchiveSink }, task: Task): Promise<void> {
  await writeArchive(engine.store, { named: await nameImages(engine.store, images), format, sink, blobs: usualBlobs }, task)
}

export interface ArchiveRequest {
  readonly named: readonly NamedImage[]
  readonly format: ArchiveFormat
  readonly sink: ArchiveSink
  /** For a layout; a docker-archive has plain layers. */
  readonly blobs: BlobOptions
}

/** @returns what a layout's index says of the images */
export async function writeArchive(store: Store, request: ArchiveRequest, task: Task): Promise<Descriptor[]> {
  const { sink } = request
  try {
    const descriptors = request.format === 'docker-archive' ? await saveDocker(store, request, task) : await saveLayout(store, request, task)
    await sink.finish()
    return descriptors
  } catch (error) {
    await sink.discard()
    throw error
  }
}

async function nameImages(store: Store, images: readonly string[]): Promise<NamedImage[]> {
  const byId = new Map<string, { image: OpenedImage; names: string[] }>()
  for (const operand of images) {
    const stored = findImage(store, operand)
    const known = byId.get(stored.id) ?? { image: await openImage(store, stored), names: [] }
    const isName = stored.names.includes(safeCanonical(operand))
    byId.set(stored.id, { image: known.image, names: isName ? [...known.names, safeCanonical(operand)] : known.names })
  }
  return [...byId.values()]
}

/** An id is no name, though it may read like one. */
function safeCanonical(operand: string): string {
  return operand.startsWith('sha256:') ? operand : canonicalName(operand)
}

async function saveLayout(store: Store, { named, sink, blobs }: ArchiveRequest, task: Task): Promise<Descriptor[]> {
  const manifests: Descriptor[] = []
  const written = new Set<string>()
  const put = async (blob: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<void> => {
    if (written.has(blob.digest)) return
    written.add(blob.digest)
    await sink.put(`blobs/sha256/${digestHex(blob.digest)}`, blob.size, bytes)
  }
  await sink.put('oci-layout', layoutMarker.length, once(layoutMarker))
  for (const { image, names, annotations } of named) {
    const portable = await makePortable(store, image, { blobs, task })
    for (const layer of portable.manifest.layers) await put(layer, store.content.read(layer, task))
    await put(portable.manifest.config, once(image.configBytes))
    const descriptor = await store.content.write(portable.bytes, portable.mediaType)
    await put(descriptor, once(portable.bytes))
    manifests.push(...namedDescriptors({ ...descriptor, platform: normalizePlatform(image.config), ...(annotations === undefined ? {} : { annotations }) }, names))
  }
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }))
  await sink.put('index.json', index.length, once(index))
  return manifests
}

const layoutMarker = Buffer.from('{"imageLayoutVersion":"1.0.0"}')

/** The annotations that containerd, docker and skopeo read names from. */
function namedDescriptors(descriptor: Descriptor, names: readonly string[]): Descriptor[] {
  if (names.length === 0) return [descriptor]
  return names.map((name) => ({
    ...descriptor,
    annotations: { ...descriptor.annotations, 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': parseReference(name).tag ?? 'latest' },
  }))
}

async function saveDocker(store: Store, { named, sink }: ArchiveRequest, task: Task): Promise<Descriptor[]> {
  const written = new Set<string>()
  const entries: object[] = []
  for (const { image, names } of named) {
    const layers: string[] = []
    for (const [index, chainId] of image.chain.entries()) {
      const name = `${digestHex(image.config.rootfs.diff_ids[index] ?? chainId)}.tar`
      layers.push(name)
      if (written.has(name)) continue
      written.add(name)
      await sink.put(name, store.layers.find(chainId)?.tarBytes ?? 0, store.layers.changeset(chainId, task))
    }
    const config = `${digestHex(image.stored.id)}.json`
    await sink.put(config, image.configBytes.length, once(image.configBytes))
    entries.push({ Config: config, RepoTags: names.map((name) => formatFamiliar(parseReference(name))), Layers: layers })
  }
  const manifest = Buffer.from(JSON.stringify(entries))
  await sink.put('manifest.json', manifest.length, once(manifest))
  return named.map(({ image }) => image.stored.manifest)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve()
  yield bytes
}
