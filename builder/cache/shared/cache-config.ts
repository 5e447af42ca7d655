import type { Descriptor } from '../../../oci/descriptor.ts'
import { findLayerCompression } from '../../../oci/descriptor.ts'
import type { DiffId } from '../../../oci/digest.ts'
import { isDigest, parseDiffId } from '../../../oci/digest.ts'
import { MalformedDocument } from '../../../oci/errors.ts'
import type { Json, JsonObject } from '../../../oci/json.ts'
import { isObject, parseDocument } from '../../../oci/json.ts'

/**
 * What BuildKit calls the config of a cache: layers, and which step's result is which layer. The shape is BuildKit's, so
 * registries and tools that know it know ours; the digests of the records are our own cache keys, which BuildKit's never equal.
 */
export const cacheConfigType = 'application/vnd.buildkit.cacheconfig.v0'

/** Where an image carries the cache of its own layers: the list of records alone, in base64. */
export const inlineField = 'moby.buildkit.cache.v0'

/** A step's result: one layer on what the step was built on. */
export interface SharedRecord {
  /** A cache key's digest. */
  readonly key: string
  /** undefined of a result that is known and not kept: what was built on it may be. */
  readonly blob: Descriptor | undefined
  readonly diffId: DiffId
  /** RFC 3339: when the step was first run. */
  readonly created: string | undefined
}

/** Beside what BuildKit's records have: the layer of a result that is not kept. */
const knownField = 'vnd.tsbuild.result'

/** Records of one layer share it. */
export function encodeCacheConfig(records: readonly SharedRecord[]): Uint8Array {
  const layers = new Map(records.flatMap(({ blob, diffId, created }) => blob === undefined ? [] : [[diffId, { blob, created }]]))
  const indexes = new Map([...layers.keys()].map((diffId, index) => [diffId, index]))
  return Buffer.from(JSON.stringify({
    layers: [...layers].map(([diffId, { blob, created }]) => ({
      blob: blob.digest, parent: -1, annotations: { mediaType: blob.mediaType, diffID: diffId, size: blob.size, ...createdAt(created) },
    })),
    records: records.map(({ key, diffId, created }) => encodeRecord({ key, layer: indexes.get(diffId), diffId, created })),
  }))
}

function encodeRecord({ key, layer, diffId, created }: { readonly key: string; readonly layer: number | undefined; readonly diffId: DiffId; readonly created: string | undefined }): JsonObject {
  return layer === undefined ? { digest: key, [knownField]: { diffID: diffId, ...createdAt(created) } } : { digest: key, layers: [{ layer, ...createdAt(created) }] }
}

function createdAt(created: string | undefined): { createdAt?: string } {
  return created === undefined ? {} : { createdAt: created }
}

/**
 * Believes nothing: a layer counts only if the manifest lists its blob, and what a record says is in it is checked when it
 * is fetched. @throws {MalformedDocument}
 */
export function parseCacheConfig(bytes: Uint8Array, listed: readonly Descriptor[]): SharedRecord[] {
  const document = parseDocument(bytes, 'cache config')
  const blobs = new Map(listed.map((blob) => [blob.digest as string, blob]))
  const layers = list(document, 'layers').map((layer) => parseLayer(layer, blobs))
  return list(document, 'records').flatMap((record) => parseRecord(record, (index) => layers[index]))
}

/** The records that an image has of its own layers: `layer` counts those of its manifest. @throws {MalformedDocument} */
export function parseInlineCache(configBytes: Uint8Array, { layers, diffIds }: { readonly layers: readonly Descriptor[]; readonly diffIds: readonly DiffId[] }): SharedRecord[] {
  const field = parseDocument(configBytes, 'image config')[inlineField]
  if (typeof field !== 'string') return []
  const document = parseDocument(Buffer.from(`{"records":${Buffer.from(field, 'base64').toString()}}`), 'inline cache')
  const known = layers.map((blob, index) => {
    const diffId = diffIds[index]
    return diffId === undefined ? undefined : { blob, diffId }
  })
  return list(document, 'records').flatMap((record) => parseRecord(record, (index) => known[index]))
}

/** `layer` is undefined of a result that is no layer of the image. */
export function encodeInlineCache(records: readonly { readonly key: string; readonly layer: number | undefined; readonly diffId: DiffId; readonly created: string | undefined }[]): string {
  return Buffer.from(JSON.stringify(records.map(encodeRecord))).toString('base64')
}

interface KnownLayer { readonly blob: Descriptor; readonly diffId: DiffId }

function parseLayer(layer: JsonObject, blobs: ReadonlyMap<string, Descriptor>): KnownLayer | undefined {
  const blob = typeof layer['blob'] === 'string' ? blobs.get(layer['blob']) : undefined
  const annotations = isObject(layer['annotations']) ? layer['annotations'] : {}
  const diffId = annotations['diffID'] ?? blob?.annotations?.['containerd.io/uncompressed']
  if (blob === undefined || typeof diffId !== 'string' || !isDigest(diffId) || findLayerCompression(blob.mediaType) === undefined) return undefined
  return { blob: { mediaType: blob.mediaType, digest: blob.digest, size: blob.size }, diffId: parseDiffId(diffId) }
}

/** A record of another tool has results we cannot place, and is left out. */
function parseRecord(record: JsonObject, layerAt: (index: number) => KnownLayer | undefined): SharedRecord[] {
  const key = record['digest']
  if (typeof key !== 'string' || !isDigest(key)) return []
  const known = record[knownField]
  if (isObject(known)) return typeof known['diffID'] === 'string' && isDigest(known['diffID']) ? [{ key, blob: undefined, diffId: parseDiffId(known['diffID']), created: parseTime(known['createdAt']) }] : []
  if (record['layers'] === undefined) return []
  const [result] = list(record, 'layers')
  const index = result?.['layer']
  const layer = typeof index === 'number' && Number.isSafeInteger(index) && index >= 0 ? layerAt(index) : undefined
  return layer === undefined ? [] : [{ ...layer, key, created: parseTime(result?.['createdAt']) }]
}

function parseTime(value: Json | undefined): string | undefined {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/u.test(value) ? value : undefined
}

function list(document: JsonObject, field: string): JsonObject[] {
  const value = document[field]
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new MalformedDocument('cache config', `its ${field} is not a list`)
  return value.map((item: Json) => {
    if (!isObject(item)) throw new MalformedDocument('cache config', `its ${field} has an entry that is not an object`)
    return item
  })
}
