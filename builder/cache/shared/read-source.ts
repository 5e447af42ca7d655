import type { Task } from '../../../core/task.ts'
import { silent } from '../../../core/task.ts'
import type { Descriptor } from '../../../oci/descriptor.ts'
import { MalformedDocument } from '../../../oci/errors.ts'
import { parseImageConfig } from '../../../oci/image-config.ts'
import { maxDocumentBytes } from '../../../oci/json.ts'
import type { ManifestDocument } from '../../../oci/manifest.ts'
import { parseManifestDocument } from '../../../oci/manifest.ts'
import { hostPlatform } from '../../../oci/platform.ts'
import { parseReference, selectPlatform } from '../../../registry-client/index.ts'
import type { Engine } from '../../engine.ts'
import { CacheMissing } from './errors.ts'
import type { BuildEvent } from '../../events.ts'
import type { SharedRecord } from './cache-config.ts'
import { cacheConfigType, parseCacheConfig, parseInlineCache } from './cache-config.ts'
import type { CacheSource, OpenedSource } from './cache-place.ts'
import { describePlace } from './cache-place.ts'
import { LayoutFolder } from './layout-folder.ts'

/** Reading of the documents of one place, whatever it is. */
interface Reader {
  readonly document: ManifestDocument
  readonly openManifest: (entry: Descriptor) => Promise<ManifestDocument>
  readonly open: OpenedSource['open']
}

/** @throws {CacheMissing} @throws {MalformedDocument} and what the registry says */
export async function readSource(engine: Engine, place: CacheSource, task: Task<BuildEvent>): Promise<OpenedSource> {
  const reader = place.type === 'registry' ? await openRegistry(engine, place.name, task) : await openFolder(place, task)
  return { place, records: await readRecords(reader, task), open: reader.open }
}

async function openRegistry(engine: Engine, name: string, task: Task<BuildEvent>): Promise<Reader> {
  const { client } = await engine.registries()
  const reference = parseReference(name)
  const { document } = await client.fetchManifest(reference, silent(task))
  return {
    document,
    openManifest: async ({ digest }) => (await client.fetchManifest({ ...reference, digest }, silent(task))).document,
    open: (blob, openTask) => client.fetchBlob(reference, blob, openTask),
  }
}

async function openFolder(place: Extract<CacheSource, { type: 'local' }>, task: Task<BuildEvent>): Promise<Reader> {
  const folder = new LayoutFolder(place.folder)
  const found = folder.find(place.tag)
  if (found === undefined) throw new CacheMissing(describePlace(place))
  const read = async (entry: Descriptor): Promise<ManifestDocument> => parseManifestDocument(await folder.readDocument(entry, silent(task)), entry.mediaType)
  return { document: await read(found), openManifest: read, open: (blob, openTask) => folder.read(blob, silent(openTask)) }
}

/** A cache as a manifest, a cache as an index of blobs (BuildKit's older form), or an image with an inline cache. */
async function readRecords(reader: Reader, task: Task<BuildEvent>): Promise<SharedRecord[]> {
  const { document } = reader
  if (document.kind === 'index') {
    const config = document.index.manifests.find(({ mediaType }) => mediaType === cacheConfigType)
    if (config !== undefined) return parseCacheConfig(await readWhole(reader, config, task), document.index.manifests)
    const entry = selectPlatform(document.index, hostPlatform(process.arch))
    return entry === undefined ? [] : readRecords({ ...reader, document: await reader.openManifest(entry) }, task)
  }
  const { config, layers } = document.manifest
  const bytes = await readWhole(reader, config, task)
  if (config.mediaType === cacheConfigType) return parseCacheConfig(bytes, layers)
  return parseInlineCache(bytes, { layers, diffIds: parseImageConfig(bytes).rootfs.diff_ids })
}

async function readWhole(reader: Reader, blob: Descriptor, task: Task<BuildEvent>): Promise<Uint8Array> {
  if (blob.size > maxDocumentBytes) throw new MalformedDocument('cache config', `it has ${blob.size} bytes, more than ${maxDocumentBytes}`)
  const chunks: Uint8Array[] = []
  for await (const chunk of reader.open(blob, task)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
