import type { Digest } from './digest.ts'
import type { Platform } from './platform.ts'

export type Annotations = Readonly<Record<string, string>>

/** @see image-spec descriptor.md "Properties" */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes of the content the digest is over. */
  readonly size: number
  readonly platform?: Platform
  readonly annotations?: Annotations
  readonly artifactType?: string
  readonly urls?: readonly string[]
}

export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerForeignLayer: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  dockerSchema1: 'application/vnd.docker.distribution.manifest.v1+json',
  dockerSchema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const

export type Compression = 'none' | 'gzip' | 'zstd'

const layerCompressions: Readonly<Record<string, Compression>> = {
  [mediaTypes.ociLayer]: 'none',
  [mediaTypes.ociLayerGzip]: 'gzip',
  [mediaTypes.ociLayerZstd]: 'zstd',
  [mediaTypes.dockerLayer]: 'none',
  [mediaTypes.dockerLayerGzip]: 'gzip',
  [mediaTypes.dockerLayerZstd]: 'zstd',
  [mediaTypes.dockerForeignLayer]: 'gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar': 'none',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip': 'gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd': 'zstd',
}

/** How a layer of this media type is compressed, or undefined when it is not a layer we know. */
export function findLayerCompression(mediaType: string): Compression | undefined {
  return Object.hasOwn(layerCompressions, mediaType) ? layerCompressions[mediaType] : undefined
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerIndex
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociManifest || mediaType === mediaTypes.dockerManifest
}

/** The OCI media type of a layer with this compression. */
export function layerMediaType(compression: Compression): string {
  switch (compression) {
    case 'none': return mediaTypes.ociLayer
    case 'gzip': return mediaTypes.ociLayerGzip
    case 'zstd': return mediaTypes.ociLayerZstd
  }
}

/** A layer of Docker's media types as OCI manifests name it; the bytes are the same. Any other layer is left as it is. */
export function asOciLayer(layer: Descriptor): Descriptor {
  const compression = dockerCompressions[layer.mediaType]
  return compression === undefined ? layer : { ...layer, mediaType: layerMediaType(compression) }
}

const dockerCompressions: Readonly<Partial<Record<string, Compression>>> = {
  [mediaTypes.dockerLayer]: 'none',
  [mediaTypes.dockerLayerGzip]: 'gzip',
  [mediaTypes.dockerLayerZstd]: 'zstd',
}
