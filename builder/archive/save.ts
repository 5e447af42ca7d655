import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { digestHex, sha256 } from '../../oci/digest.ts'
import { formatFamiliar, parseReference } from '../../registry-client/index.ts'
import type { Store } from '../../storage/index.ts'
import type { Engine } from '../engine.ts'
import { UnsuitableRequest } from '../errors.ts'
import { canonicalName, findImage } from '../find-image.ts'
import type { BlobOptions } from '../output/build-output.ts'
import { noAnnotations, usualBlobs } from '../output/build-output.ts'
import type { OpenedImage, PortableImage } from '../transfer/portable-image.ts'
import { openImages } from '../transfer/portable-image.ts'
import type { Departure } from '../transfer/portable-tree.ts'
import { makePortableTree } from '../transfer/portable-tree.ts'
import type { ArchiveSink } from './archive-sink.ts'

export type ArchiveFormat = 'oci-archive' | 'docker-archive' | 'oci-dir'

/** `names` is what it is called in the archive; empty for an image given by id. */
export type NamedImage = Departure

/** Writes images, given by name or id, to a sink: as an OCI image layout, or as `docker save` did before it wrote one. */
export async function saveImages(engine: Engine, { images, format, sink }: { images: readonly string[]; format: ArchiveFormat; sink: ArchiveSink }, task: Task): Promise<void> {
  const named = await nameImages(engine.store, images).catch(async (error: unknown) => {
    await sink.discard()
    throw error
  })
  await writeArchive(engine.store, { named, format, sink, blobs: usualBlobs, forDocker: format === 'oci-archive' }, task)
}

export interface ArchiveRequest {
  readonly named: readonly NamedImage[]
  readonly format: ArchiveFormat
  readonly sink: ArchiveSink
  /** For a layout; a docker-archive has plain layers. */
  readonly blobs: BlobOptions
  /** Whether a layout also gets the "manifest.json" that "docker load" reads, as those of "docker save" have; not where an image has several platforms. */
  readonly forDocker?: boolean
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
  const byId = new Map<string, NamedImage>()
  for (const operand of images) {
    const stored = findImage(store, operand)
    const known = byId.get(stored.id) ?? { members: (await openImages(store, stored)).map((image) => ({ image, predicates: [] })), names: [], annotations: noAnnotations }
    const isName = stored.names.includes(safeCanonical(operand))
    byId.set(stored.id, isName ? { ...known, names: [...known.names, safeCanonical(operand)] } : known)
  }
  return [...byId.values()]
}

/** An id is no name, though it may read like one. */
function safeCanonical(operand: string): string {
  return operand.startsWith('sha256:') ? operand : canonicalName(operand)
}

async function saveLayout(store: Store, { named, sink, blobs, forDocker }: ArchiveRequest, task: Task): Promise<Descriptor[]> {
  const manifests: Descriptor[] = []
  const entries: object[] = []
  const written = new Set<string>()
  const put = async (blob: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<void> => {
    if (written.has(blob.digest)) return
    written.add(blob.digest)
    await sink.put(blobPath(blob), blob.size, bytes)
  }
  await sink.put('oci-layout', layoutMarker.length, once(layoutMarker))
  for (const image of named) {
    const { parts, top, index } = await makePortableTree(store, image, { blobs, task: silent(task) })
    for (const { manifest, bytes, mediaType } of parts) {
      for (const blob of [...manifest.layers, manifest.config]) await put(blob, store.content.read(blob, task))
      await put({ mediaType, digest: sha256(bytes), size: bytes.length }, once(bytes))
    }
    if (index !== undefined) await put(top, once(index))
    manifests.push(...namedDescriptors(top, image.names))
    const [only, ...others] = parts
    if (only !== undefined && others.length === 0) entries.push(dockerEntry(image, only.manifest))
  }
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }))
  await sink.put('index.json', index.length, once(index))
  if (forDocker === true && entries.length === named.length) await putDockerManifest(sink, entries)
  return manifests
}

function dockerEntry({ names }: NamedImage, { config, layers }: PortableImage['manifest']): object {
  return { Config: blobPath(config), RepoTags: repoTags(names), Layers: layers.map(blobPath) }
}

function repoTags(names: readonly string[]): string[] {
  return names.map((name) => formatFamiliar(parseReference(name)))
}

async function putDockerManifest(sink: ArchiveSink, entries: readonly object[]): Promise<void> {
  const manifest = Buffer.from(JSON.stringify(entries))
  await sink.put('manifest.json', manifest.length, once(manifest))
}

function blobPath({ digest }: Descriptor): string {
  return `blobs/sha256/${digestHex(digest)}`
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
  for (const { image, names } of named.map(onlyMember)) {
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
    entries.push({ Config: config, RepoTags: repoTags(names), Layers: layers })
  }
  await putDockerManifest(sink, entries)
  return named.map((each) => onlyMember(each).image.stored.manifest)
}

function onlyMember({ members, names }: NamedImage): { readonly image: OpenedImage; readonly names: readonly string[] } {
  const [only, ...others] = members
  if (only === undefined || others.length > 0) throw new UnsuitableRequest(`a docker archive holds images of one platform, and "${names[0] ?? 'this image'}" has ${members.length}; write an OCI layout instead: --format oci-archive, or -o type=oci`)
  return { image: only.image, names }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve()
  yield bytes
}
