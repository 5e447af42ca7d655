import { buffer } from 'node:stream/consumers'
import { allOrNone, createLimit } from '../../core/limit.ts'
import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { MalformedDocument } from '../../oci/errors.ts'
import { parseImageConfig } from '../../oci/image-config.ts'
import { maxDocumentBytes } from '../../oci/json.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { Manifest } from '../../oci/manifest.ts'
import type { Platform } from '../../oci/platform.ts'
import { formatPlatform, hostPlatform } from '../../oci/platform.ts'
import { verifyBytes } from '../../oci/verify.ts'
import type { TransferEvent } from '../../registry-client/index.ts'
import { refuseForeign, selectPlatform, WrongContent } from '../../registry-client/index.ts'
import type { StoredImage } from '../../storage/index.ts'
import { createFileSink } from '../archive/archive-sink.ts'
import { writeArchive } from '../archive/save.ts'
import { checkPlatform } from '../check-platform.ts'
import type { Engine } from '../engine.ts'
import { ImageUnavailable, UnsuitableRequest } from '../errors.ts'
import { canonicalName } from '../find-image.ts'
import type { BlobOptions } from '../output/build-output.ts'
import { noAnnotations, usualBlobs } from '../output/build-output.ts'
import { ensureLayers } from '../transfer/image-layers.ts'
import { openImage } from '../transfer/portable-image.ts'
import { openDirTarget } from './dir-folder.ts'
import type { ImageSource, LoadedDocument } from './image-source.ts'
import { openSource } from './open-source.ts'
import type { ImageTarget } from './image-target.ts'
import { openArchiveTarget, openLayoutTarget, openRegistryTarget } from './image-target.ts'
import type { Location } from './location.ts'
import { formatLocation } from './location.ts'

export interface CopyRequest {
  readonly from: Location
  readonly to: Location
  /** Default this machine's; `all` copies an index with everything in it. */
  readonly platform: Platform | 'all' | undefined
  /** For what leaves the store; everything else is copied as it is. */
  readonly blobs: BlobOptions
  readonly maxConcurrent: number
}

const maxDepth = 4
const maxManifests = 1024

/**
 * Copies an image, or an index with all its images, as it is: digests stay the same. A docker-archive alone has no place for
 * manifests, so there the image is written anew. @returns what lies at the destination under its name
 */
export async function copyImage(engine: Engine, request: CopyRequest, task: Task<TransferEvent>): Promise<Descriptor> {
  const { from, to, platform, blobs, maxConcurrent } = request
  const source = await openSource(engine, from, { blobs, task: silent(task) })
  const chosen = platform === 'all' ? source.top : await choosePlatform(source, { platform, name: formatLocation(from) }, task)
  if (to.transport === 'tsbuild' || to.transport === 'docker-archive') return copyThroughStore(engine, { source, chosen, to, maxConcurrent }, task)
  const target = await openTarget(engine, to)
  try {
    await copyDocuments({ source, target, maxConcurrent }, chosen, task)
    await target.finish(silent(task))
  } catch (error) {
    await target.discard()
    throw error
  }
  return chosen.descriptor
}

async function openTarget(engine: Engine, to: Exclude<Location, { transport: 'tsbuild' } | { transport: 'docker-archive' }>): Promise<ImageTarget> {
  if (to.transport === 'docker') return openRegistryTarget(engine, to.name)
  if (to.transport === 'dir') return openDirTarget(to.path)
  return to.transport === 'oci' ? openLayoutTarget(engine, to) : openArchiveTarget(await createFileSink(to.path), to.tag)
}

async function choosePlatform(source: ImageSource, { platform, name }: { readonly platform: Platform | undefined; readonly name: string }, task: Task<TransferEvent>): Promise<LoadedDocument> {
  const wanted = platform ?? hostPlatform(process.arch)
  let chosen = source.top
  for (let depth = 0; ; depth += 1) {
    const document = parseManifestDocument(chosen.bytes, chosen.descriptor.mediaType)
    if (document.kind === 'manifest') {
      if (depth === 0 && platform !== undefined) checkPlatform(name, parseImageConfig(await readConfig(source, document.manifest, task)), platform)
      return chosen
    }
    if (depth === maxDepth) throw new MalformedDocument('index', `indexes are nested deeper than ${maxDepth}`)
    const entry = selectPlatform(document.index, wanted)
    if (entry === undefined) throw new ImageUnavailable(name, `it has no image for ${formatPlatform(wanted)}; --all copies those it has`)
    const { mediaType, digest, size } = entry
    chosen = { descriptor: { mediaType, digest, size }, bytes: await source.document(entry, silent(task)) }
  }
}

function readConfig(source: ImageSource, { config }: Manifest, task: Task<TransferEvent>): Promise<Uint8Array> {
  checkSize(config)
  return buffer(verifyBytes(source.blob({ blob: config, fromByte: 0 }, silent(task)), config))
}

function checkSize({ size }: Manifest['config']): void {
  if (size > maxDocumentBytes) throw new MalformedDocument('image config', `it has ${size} bytes, more than ${maxDocumentBytes}`)
}

interface Passage { readonly source: ImageSource; readonly target: ImageTarget; readonly maxConcurrent: number }

/** Children before their index, blobs before their manifest, and each of them once. */
async function copyDocuments({ source, target, maxConcurrent }: Passage, top: LoadedDocument, task: Task<TransferEvent>): Promise<void> {
  const done = new Set<string>()
  const siblings = new AbortController()
  const signal = AbortSignal.any([task.signal, siblings.signal])
  const limit = createLimit(target.takesSeveralAtOnce ? maxConcurrent : 1, signal)
  const copyBlobs = async (blobs: readonly Descriptor[]): Promise<void> => {
    const fresh = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()].filter(({ digest }) => !done.has(digest))
    const work = fresh.map((blob) => limit(() => target.putBlob(blob, source, { signal, emit: task.emit })))
    await allOrNone(work, (reason) => { siblings.abort(reason) })
    for (const { digest } of fresh) done.add(digest)
  }
  const copy = async (loaded: LoadedDocument, depth: number): Promise<void> => {
    if (depth > maxDepth) throw new MalformedDocument('index', `indexes are nested deeper than ${maxDepth}`)
    const document = parseManifestDocument(loaded.bytes, loaded.descriptor.mediaType)
    if (document.kind === 'manifest') {
      document.manifest.layers.forEach(refuseForeign)
      await copyBlobs([...document.manifest.layers, document.manifest.config])
    } else {
      for (const entry of document.index.manifests) {
        if (done.has(entry.digest)) continue
        done.add(entry.digest)
        if (done.size > maxManifests) throw new MalformedDocument('index', `it leads to more than ${maxManifests} manifests and blobs`)
        const { mediaType, digest, size } = entry
        await copy({ descriptor: { mediaType, digest, size }, bytes: await source.document(entry, silent(task)) }, depth + 1)
      }
    }
    await target.putDocument(loaded, loaded === top, silent(task))
  }
  await copy(top, 0)
}

interface StorePassage { readonly source: ImageSource; readonly chosen: LoadedDocument; readonly to: Extract<Location, { transport: 'tsbuild' } | { transport: 'docker-archive' }>; readonly maxConcurrent: number }

async function copyThroughStore(engine: Engine, { source, chosen, to, maxConcurrent }: StorePassage, task: Task<TransferEvent>): Promise<Descriptor> {
  const document = parseManifestDocument(chosen.bytes, chosen.descriptor.mediaType)
  if (document.kind === 'index') throw new UnsuitableRequest(`${to.transport}: holds images of one platform; leave out --all, or copy the index to oci: or docker://`)
  const names = to.transport === 'tsbuild' ? [canonicalName(to.name)] : []
  const stored = await intoStore(engine, { source, chosen, manifest: document.manifest, names, maxConcurrent }, task)
  if (to.transport === 'tsbuild') return stored.manifest
  const archived = to.tag === undefined ? [] : [canonicalName(to.tag)]
  await writeArchive(engine.store, { named: [{ members: [{ image: await openImage(engine.store, stored), predicates: [] }], names: archived, annotations: noAnnotations }], format: 'docker-archive', sink: await createFileSink(to.path), blobs: usualBlobs }, silent(task))
  return stored.manifest
}

interface StoreWork { readonly source: ImageSource; readonly chosen: LoadedDocument; readonly manifest: Manifest; readonly names: readonly string[]; readonly maxConcurrent: number }

async function intoStore({ store }: Engine, { source, chosen, manifest, names, maxConcurrent }: StoreWork, task: Task<TransferEvent>): Promise<StoredImage> {
  const quiet = silent(task)
  checkSize(manifest.config)
  await store.content.ingest(manifest.config, source.blob({ blob: manifest.config, fromByte: 0 }, task), quiet)
  const config = parseImageConfig(await store.content.readDocument(manifest.config))
  await ensureLayers<TransferEvent>(store, {
    layers: manifest.layers,
    diffIds: config.rootfs.diff_ids,
    maxConcurrent,
    open: (part, blobTask) => source.blob(part, blobTask),
    isWorthRetrying: (error) => error instanceof WrongContent && error.isWorthRetrying,
  }, task)
  await store.content.ingest(chosen.descriptor, once(chosen.bytes), quiet)
  await store.layers.sync(quiet)
  return store.images.put(chosen.descriptor, manifest.config.digest, names)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve()
  yield bytes
}
