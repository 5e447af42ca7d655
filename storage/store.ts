import type { Task } from '../core/task.ts'
import type { Compression, Descriptor } from '../oci/descriptor.ts'
import type { ChainId, Digest, DiffId } from '../oci/digest.ts'
import type { BlobBegun } from './growing-blob.ts'
import type { Layer, LayerStore } from './layer-store.ts'
import type { CacheMounts } from './mounts/cache-mount.ts'

/**
 * Everything under one root directory, opened by one process for one piece of work. Any number of processes may have
 * the same root open; what this one found or made stays until it is closed, whatever gc other processes run.
 */
export interface Store extends AsyncDisposable {
  readonly root: string
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly images: ImageStore
  readonly cache: CacheRecords
  readonly mounts: CacheMounts
  readonly fileDigests: FileDigestRecords
  /**
   * Takes a layer's blob and its tree in one pass: bytes are stored as they come, and decompressed, checked and applied.
   * The layers of one image can come at the same time, if the call for a parent is made before those for its children.
   * @throws {DigestMismatch} @throws {DiffIdMismatch} @throws {HostileArchive} @throws {LayerMissing} for the parent
   */
  ingestLayer(layer: IncomingLayer, task: Task): Promise<Layer>
  /**
   * A lock that every process with the store open respects, and that the kernel gives back when its holder dies. Waits as
   * long as somebody else holds it; nobody's lock is ever taken over.
   */
  lock(name: string, mode: { readonly exclusive: boolean }, task: Task): Promise<AsyncDisposable>
  /**
   * The layer as a blob in the content store; the compressed form is remembered, so asking again compresses nothing. One that
   * has to be compressed with gzip can be read meanwhile.
   */
  layerBlob(chainId: ChainId, form: Compression | LayerForm, task: Task<BlobBegun>): Promise<Descriptor>
}

export interface IncomingLayer {
  readonly parent: ChainId | undefined
  readonly blob: Descriptor
  readonly bytes: AsyncIterable<Uint8Array> | OpenBlob
  readonly diffId: DiffId
}

/**
 * Gets a blob's bytes from one of them on. Given in place of the bytes, it is called for what the store lacks: what a
 * process that died had stored of the blob is kept, and of several processes that want it one fetches it.
 */
export type OpenBlob = (fromByte: number) => AsyncIterable<Uint8Array>

/** How a layer's blob is compressed. */
export interface LayerForm {
  readonly compression: Compression
  /** 1 to 9 for gzip, 1 to 22 for zstd; undefined is the usual one. */
  readonly level: number | undefined
}

export interface BlobInfo { readonly digest: Digest; readonly sizeBytes: number }

/** Blobs by digest, kept as an OCI image layout. Present means complete and verified. */
export interface ContentStore {
  find(digest: Digest): BlobInfo | undefined
  /** Throws at the end unless size and digest match. @throws {BlobMissing} @throws {DigestMismatch} */
  read(blob: Descriptor, task: Task): AsyncIterable<Uint8Array>
  /** A whole small document. @throws {BlobMissing} @throws {DigestMismatch} */
  readDocument(blob: Descriptor): Promise<Uint8Array>
  /** Idempotent. @throws {DigestMismatch} */
  ingest(blob: Descriptor, bytes: AsyncIterable<Uint8Array>, task: Task): Promise<void>
  /** Bytes whose digest nobody knows yet. @throws {StreamTooLarge} */
  add(bytes: AsyncIterable<Uint8Array>, mediaType: string, task: Task): Promise<Descriptor>
  /** A document of our own making. */
  write(bytes: Uint8Array, mediaType: string): Promise<Descriptor>
}

/** An image as the store knows it: a manifest, or an index of images of several platforms, and the names that point to it. */
export interface StoredImage {
  /** The config's digest: what `docker images` calls the image id. Of an index its own digest. */
  readonly id: Digest
  readonly manifest: Descriptor
  /** Canonical references, `docker.io/library/app:1`. */
  readonly names: readonly string[]
  readonly createdAtMs: number
}

export interface ImageStore {
  /** By canonical name, by id, or by a unique beginning of an id. @throws {AmbiguousId} */
  find(nameOrId: string): StoredImage | undefined
  list(): StoredImage[]
  /** Leases an image's documents, blobs and layers to this session at once. @returns whether it is still there */
  lease(id: Digest): boolean
  /**
   * Records a manifest, or an index with all its manifests, whose documents and layers are there and durable, and points
   * the names to it, away from what they pointed to. @throws {ImageIncomplete}, when `LayerStore.sync` was not called for example
   */
  put(manifest: Descriptor, id: Digest, names: readonly string[]): StoredImage
  /** Takes a name away; an image without names stays as dangling. @returns whether it was there */
  untag(name: string): boolean
  /** Forgets an image and its names. Its blobs and layers go at the next gc unless something else uses them. */
  remove(id: Digest): void
}

/** Build cache entries: what the builder knows by key. The store keeps the layer alive as long as the entry. */
export interface CacheRecord {
  readonly key: string
  readonly chainId: ChainId
  /** The builder's own JSON. */
  readonly payload: string
  readonly createdAtMs: number
}

export interface CacheRecords {
  /** Marks the entry as used now and leases its layer; an entry whose layer is gone is not found. */
  find(key: string): CacheRecord | undefined
  /** Other processes find it after the next `LayerStore.sync`, or when this session closes. */
  put(record: Omit<CacheRecord, 'createdAtMs'>): void
}

/** What is known of files outside the store, by the tree they are in and their directory: bytes of a FolderListing. Losing it costs time only. */
export interface FileDigestRecords {
  load(root: string, folder: Buffer): Uint8Array | undefined
  /** By directory in Latin-1. `current` names all directories of the tree that were read: when there are too many, others are forgotten. */
  save(root: string, listings: ReadonlyMap<string, Uint8Array>, current: ReadonlySet<string>): void
}
