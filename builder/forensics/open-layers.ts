import { createReadStream, existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { chainIds, digestAlgorithm, digestHex } from '../../oci/digest.ts'
import type { ImageConfig } from '../../oci/image-config.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { Platform } from '../../oci/platform.ts'
import { formatPlatform, hostPlatform } from '../../oci/platform.ts'
import { verifyBytes } from '../../oci/verify.ts'
import { selectPlatform } from '../../registry-client/index.ts'
import { decompress } from '../../storage/index.ts'
import { readImages } from '../archive/load.ts'
import { checkPlatform } from '../check-platform.ts'
import type { Engine } from '../engine.ts'
import { ImageNotFound } from '../errors.ts'
import { MalformedArchive } from '../archive/errors.ts'
import { findImage } from '../find-image.ts'
import { findRemoteImage } from '../transfer/pull.ts'
import { openImage } from '../transfer/portable-image.ts'
import type { LayerEntry } from './layer-entry.ts'
import { readLayerEntries, readStoredEntries } from './layer-entry.ts'

/** One layer of an image, wherever that is. */
export interface OpenedLayer {
  readonly diffId: string
  /** Layers of which it is equal have the same bytes: by what was verified, never by a diffID that a config only claims. */
  readonly identity: string
  /** The instruction that made it, as the image's history has it. */
  readonly step: string
  readonly readEntries: (task: Task) => Promise<LayerEntry[]>
}

export interface OpenedLayers {
  readonly name: string
  /** Bottom first. */
  readonly layers: readonly OpenedLayer[]
}

type OpenBlob = (blob: Descriptor, task: Task) => AsyncIterable<Uint8Array>

const maxLayerBytes = 2 ** 40

/**
 * The layers of what a user named: a folder with an OCI image layout, an archive as `save` and `docker save` write it, an image
 * of the store, or else one of a registry, of which nothing is kept. Of several platforms the one asked for is taken, by
 * default this machine's; an image of the only other one is not what was asked for.
 * @throws {ImageNotFound} @throws {ImageUnavailable} @throws {MalformedArchive}
 */
export async function openLayers(engine: Engine, { source, platform }: { source: string; platform: Platform | undefined }, task: Task): Promise<OpenedLayers> {
  const { config, ...opened } = await openSource(engine, { source, platform: platform ?? hostPlatform(process.arch) }, task)
  checkPlatform(source, config, platform)
  return opened
}

interface OpenedSource extends OpenedLayers {
  readonly config: ImageConfig
}

async function openSource(engine: Engine, { source, platform }: { source: string; platform: Platform }, task: Task): Promise<OpenedSource> {
  if (isPath(source)) return openPath(engine, { source, platform }, task)
  try {
    return await openStored(engine, { source, platform })
  } catch (error) {
    if (!(error instanceof ImageNotFound)) throw error
  }
  const { client } = await engine.registries()
  const found = await findRemoteImage(engine, { name: source, platform }, silent(task))
  const openBlob: OpenBlob = (blob, { signal }) => client.fetchBlob(found.reference, blob, { signal, emit: () => undefined })
  return describe(found.name, found, openBlob)
}

/** A folder that holds no images is no reason not to look for the image of that name. */
function isPath(source: string): boolean {
  if (/^[./]/u.test(source)) return true
  const found = statSync(source, { throwIfNoEntry: false })
  return found !== undefined && (!found.isDirectory() || existsSync(join(source, 'index.json')))
}

async function openStored({ store }: Engine, { source, platform }: { source: string; platform: Platform }): Promise<OpenedSource> {
  const stored = findImage(store, source)
  const { config } = await openImage(store, stored, platform)
  const chain = chainIds(config.rootfs.diff_ids)
  const steps = stepsOf(config)
  const layers = chain.map((chainId, index): OpenedLayer => ({ diffId: config.rootfs.diff_ids[index] ?? '', identity: `layer ${config.rootfs.diff_ids[index] ?? ''}`, step: steps[index] ?? '', readEntries: (task) => readStoredEntries(store, chainId, task) }))
  return { name: stored.names[0] ?? stored.id, config, layers }
}

async function openPath(engine: Engine, { source, platform }: { source: string; platform: Platform }, task: Task): Promise<OpenedSource> {
  if (statSync(source).isDirectory()) {
    if (!existsSync(join(source, 'index.json'))) throw new MalformedArchive(`"${source}" is a folder without "index.json"`)
    return openLayout(source, platform)
  }
  const [image, ...others] = await readImages(engine, { archive: createReadStream(source, { highWaterMark: 1024 * 1024 }), platform }, task)
  if (image === undefined || others.length > 0) throw new MalformedArchive(`it has ${image === undefined ? 'no image' : `${others.length + 1} images`}, and one is wanted; after "tsbuild load" each has its name`)
  return describe(source, image, (blob, readTask) => engine.store.content.read(blob, readTask))
}

/** @see image-spec image-layout.md */
async function openLayout(folder: string, platform: Platform): Promise<OpenedSource> {
  const path = ({ digest }: Descriptor): string => join(folder, 'blobs', digestAlgorithm(digest), digestHex(digest))
  const openManifest = async (bytes: Uint8Array, mediaType: string): Promise<Manifest> => {
    const document = parseManifestDocument(bytes, mediaType)
    if (document.kind === 'manifest') return document.manifest
    const [only, ...others] = document.index.manifests
    const entry = others.length === 0 ? only : selectPlatform(document.index, platform)
    if (entry === undefined) throw new MalformedArchive(`it has no image for ${formatPlatform(platform)}`)
    return openManifest(await readFile(path(entry)), entry.mediaType)
  }
  const manifest = await openManifest(await readFile(join(folder, 'index.json')), mediaTypes.ociIndex)
  const config = parseImageConfig(await readFile(path(manifest.config)))
  const openBlob: OpenBlob = (blob, { signal }) => createReadStream(path(blob), { highWaterMark: 256 * 1024, signal }) as AsyncIterable<Uint8Array>
  return describe(folder, { manifest, config }, (blob, task) => verifyBytes(openBlob(blob, task), blob))
}

function describe(name: string, { manifest, config }: { manifest: Manifest; config: ImageConfig }, openBlob: OpenBlob): OpenedSource {
  const steps = stepsOf(config)
  return {
    name,
    config,
    layers: manifest.layers.map((blob, index): OpenedLayer => ({
      diffId: config.rootfs.diff_ids[index] ?? '', identity: `blob ${blob.digest}`, step: steps[index] ?? '', readEntries: (task) => readLayerEntries(unpacked(openBlob(blob, task)), task),
    })),
  }
}

async function* unpacked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield* (await decompress(bytes, maxLayerBytes)).bytes
}

/** Of each layer, bottom first. */
function stepsOf({ history }: ImageConfig): string[] {
  return (history ?? []).filter(({ empty_layer: isEmpty }) => isEmpty !== true).map(({ created_by: createdBy }) => createdBy ?? '')
}
