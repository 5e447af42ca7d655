import type { Writable } from 'node:stream'
import type { Annotations, Compression } from '../../oci/descriptor.ts'

/** How the layers of an image that leaves the store are compressed and described. */
export interface BlobOptions {
  readonly compression: Compression
  /** 1 to 9 for gzip, 1 to 22 for zstd; undefined is the usual one. */
  readonly level: number | undefined
  /** Whether layers that are compressed already, such as the base's, are compressed anew. */
  readonly isForced: boolean
  readonly mediaTypes: 'oci' | 'docker'
}

export const usualBlobs: BlobOptions = { compression: 'gzip', level: undefined, isForced: false, mediaTypes: 'oci' }

/** Where annotations go. */
export interface ImageAnnotations {
  readonly manifest: Annotations
  /** On the entry that an index or a layout has for the manifest. */
  readonly manifestDescriptor: Annotations
  readonly index: Annotations
}

export const noAnnotations: ImageAnnotations = { manifest: {}, manifestDescriptor: {}, index: {} }

/** A file, complete or not there; a folder; or a stream the caller owns. */
export type Destination =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'stream'; readonly stream: Writable }

/** What becomes of a build's result. */
export type BuildOutput =
  /** An image of the store, with the request's names. */
  | { readonly type: 'image' }
  /** Pushed under these names, or the request's when there are none. */
  | {
    readonly type: 'registry'; readonly names: readonly string[]; readonly blobs: BlobOptions
    /** Whether no tag is written: the names, without one, say where it goes. */
    readonly isByDigest?: boolean
  }
  /** An OCI image layout. */
  | { readonly type: 'oci'; readonly names: readonly string[]; readonly to: Destination; readonly blobs: BlobOptions }
  /** What `docker load` takes. */
  | { readonly type: 'docker'; readonly names: readonly string[]; readonly to: Exclude<Destination, { kind: 'folder' }> }
  /** The root filesystem, merged into a folder. */
  | { readonly type: 'local'; readonly to: Extract<Destination, { kind: 'folder' }> }
  /** The root filesystem. */
  | { readonly type: 'tar'; readonly to: Exclude<Destination, { kind: 'folder' }> }
