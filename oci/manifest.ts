import type { Annotations, Descriptor } from './descriptor.ts'
import { findLayerCompression, isIndexType, isManifestType, mediaTypes } from './descriptor.ts'
import { isDigest } from './digest.ts'
import { MalformedDocument, UnsupportedMediaType } from './errors.ts'
import type { Json, JsonObject } from './json.ts'
import { isObject, parseDocument } from './json.ts'
import type { Platform } from './platform.ts'
import { normalizePlatform } from './platform.ts'

/** @see image-spec manifest.md */
export interface Manifest {
  readonly schemaVersion: 2
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly artifactType?: string
  readonly subject?: Descriptor
  readonly annotations?: Annotations
}

/** @see image-spec image-index.md */
export interface ImageIndex {
  readonly schemaVersion: 2
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly artifactType?: string
  readonly subject?: Descriptor
  readonly annotations?: Annotations
}

export type ManifestDocument =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly index: ImageIndex }

/** More layers than any kernel stacks, and more children than any platform list has. */
const maxDescriptors = 4096

/**
 * Reads a manifest or index. `expectedType` is what the registry or the descriptor said it is; the document may repeat
 * it and may not contradict it, and a document that could be read as both kinds is refused.
 * @throws {MalformedDocument}
 * @throws {UnsupportedMediaType} for Docker's schema 1
 */
export function parseManifestDocument(bytes: Uint8Array, expectedType?: string): ManifestDocument {
  const document = parseDocument(bytes, 'manifest')
  refuseSchema1(document, expectedType)
  const mediaType = documentType(document, expectedType)
  if (document['schemaVersion'] !== 2) throw new MalformedDocument('manifest', 'its schemaVersion is not 2')
  if (document['manifests'] !== undefined && (document['layers'] !== undefined || document['config'] !== undefined)) {
    throw new MalformedDocument('manifest', 'it is an index and a manifest at the same time')
  }
  return isIndexType(mediaType)
    ? { kind: 'index', index: parseIndex(document, mediaType) }
    : { kind: 'manifest', manifest: parseManifest(document, mediaType) }
}

/** The bytes to store and send: one spelling for equal content. Parsed documents keep the bytes they came in instead. */
export function encodeDocument(document: Manifest | ImageIndex): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(document))
}

function refuseSchema1(document: JsonObject, expectedType: string | undefined): void {
  const old: readonly (string | undefined)[] = [mediaTypes.dockerSchema1, mediaTypes.dockerSchema1Signed]
  if (document['schemaVersion'] === 1 || old.includes(expectedType)) {
    throw new UnsupportedMediaType(mediaTypes.dockerSchema1, 'this is Docker schema 1, which registries dropped; push the image again with a current client')
  }
}

function documentType(document: JsonObject, expectedType: string | undefined): string {
  const stated = document['mediaType']
  if (stated !== undefined && typeof stated !== 'string') throw new MalformedDocument('manifest', 'its mediaType is not a text')
  if (stated !== undefined && expectedType !== undefined && stated !== expectedType) {
    throw new MalformedDocument('manifest', `its mediaType "${stated.slice(0, 100)}" contradicts "${expectedType}"`)
  }
  const mediaType = stated ?? expectedType ?? guessType(document)
  if (!isIndexType(mediaType) && !isManifestType(mediaType)) {
    throw new UnsupportedMediaType(mediaType, 'want an OCI or Docker schema 2 manifest or index')
  }
  return mediaType
}

/** The specification lets an OCI document leave its type out. */
function guessType(document: JsonObject): string {
  return document['manifests'] === undefined ? mediaTypes.ociManifest : mediaTypes.ociIndex
}

function parseManifest(document: JsonObject, mediaType: string): Manifest {
  return {
    schemaVersion: 2,
    mediaType,
    config: parseDescriptor(document['config'], 'config'),
    layers: parseDescriptors(document['layers'], 'layers'),
    ...parseShared(document),
  }
}

function parseIndex(document: JsonObject, mediaType: string): ImageIndex {
  return { schemaVersion: 2, mediaType, manifests: parseDescriptors(document['manifests'], 'manifests'), ...parseShared(document) }
}

function parseShared(document: JsonObject): { artifactType?: string; subject?: Descriptor; annotations?: Annotations } {
  const { artifactType, subject, annotations } = document
  return {
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    ...(subject === undefined || subject === null ? {} : { subject: parseDescriptor(subject, 'subject') }),
    ...(annotations === undefined || annotations === null ? {} : { annotations: parseAnnotations(annotations, 'annotations') }),
  }
}

function parseDescriptors(value: Json | undefined, field: string): Descriptor[] {
  if (!Array.isArray(value)) throw new MalformedDocument('manifest', `its ${field} is not a list`)
  if (value.length > maxDescriptors) throw new MalformedDocument('manifest', `its ${field} has ${value.length} entries, more than ${maxDescriptors}`)
  return value.map((item: Json, index) => parseDescriptor(item, `${field}[${index}]`))
}

/** @throws {MalformedDocument} naming `field` */
export function parseDescriptor(value: Json | undefined, field: string): Descriptor {
  if (!isObject(value)) throw new MalformedDocument('manifest', `its ${field} is not a descriptor`)
  const { mediaType, digest, size, platform, annotations, artifactType, urls } = value
  if (typeof mediaType !== 'string' || mediaType.length > 255) throw new MalformedDocument('manifest', `${field} has no mediaType`)
  if (typeof digest !== 'string' || !isDigest(digest)) throw new MalformedDocument('manifest', `${field} has no well-formed digest`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw new MalformedDocument('manifest', `${field} has no valid size`)
  return {
    mediaType,
    digest,
    size,
    ...(platform === undefined || platform === null ? {} : { platform: parsePlatformField(platform, field) }),
    ...(annotations === undefined || annotations === null ? {} : { annotations: parseAnnotations(annotations, field) }),
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    ...(Array.isArray(urls) ? { urls: urls.filter((url): url is string => typeof url === 'string') } : {}),
  }
}

function parsePlatformField(value: Json, field: string): Platform {
  if (!isObject(value) || typeof value['os'] !== 'string' || typeof value['architecture'] !== 'string') {
    throw new MalformedDocument('manifest', `${field} has a platform without os and architecture`)
  }
  const features = value['os.features']
  return normalizePlatform({
    os: value['os'],
    architecture: value['architecture'],
    ...(typeof value['variant'] === 'string' ? { variant: value['variant'] } : {}),
    ...(typeof value['os.version'] === 'string' ? { 'os.version': value['os.version'] } : {}),
    ...(Array.isArray(features) ? { 'os.features': features.filter((feature): feature is string => typeof feature === 'string') } : {}),
  })
}

function parseAnnotations(value: Json, field: string): Annotations {
  if (!isObject(value)) throw new MalformedDocument('manifest', `${field} has annotations that are not an object`)
  const annotations: Record<string, string> = {}
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw new MalformedDocument('manifest', `${field} has an annotation that is not a text`)
    annotations[key] = text
  }
  return annotations
}

/** The layers of an image that hold files, refusing what we could not apply. @throws {UnsupportedMediaType} */
export function imageLayers(manifest: Manifest): readonly Descriptor[] {
  for (const layer of manifest.layers) {
    if (findLayerCompression(layer.mediaType) === undefined) {
      throw new UnsupportedMediaType(layer.mediaType, 'want a tar layer, plain or compressed with gzip or zstd; is this an image and not another artifact?')
    }
  }
  return manifest.layers
}
