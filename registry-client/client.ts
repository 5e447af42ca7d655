import type { Task } from '../core/task.ts'
import type { RateLimit } from './content/rate-limits.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { ManifestDocument } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from './reference.ts'

export interface FetchedManifest {
  readonly descriptor: Descriptor
  /** As the registry sent them: what the digest is over. */
  readonly bytes: Uint8Array
  readonly document: ManifestDocument
}

/** Progress of one blob. `doneBytes` counts from 0 to `totalBytes`, also when a part had been there before. */
export interface TransferEvent {
  readonly type: 'transfer-progressed'
  readonly direction: 'pull' | 'push'
  readonly digest: Digest
  readonly doneBytes: number
  readonly totalBytes: number
  readonly outcome: 'running' | 'transferred' | 'present' | 'mounted'
}

/** Where pushed content comes from. `read` may be called again to retry. */
export interface BlobSource {
  read(blob: Descriptor, task: Task): AsyncIterable<Uint8Array>
  /** Repositories that hold the blob as far as is known: one on the same registry spares the upload. */
  origins?(blob: Descriptor): readonly Reference[]
}

/** A blob that is still being made, compressed say, and can be sent as far as it has come. */
export interface GrowingBlob {
  /** Resolves when there are more than so many bytes, or all; the descriptor is known when all are. Fails if the blob is not made after all. */
  more(thanBytes: number): Promise<{ readonly sizeBytes: number; readonly blob: Descriptor | undefined }>
  /** Bytes that are there. */
  read(fromByte: number, length: number): AsyncIterable<Uint8Array>
}

/** Calls of the distribution protocol, with mirrors, credentials, retries and resumption taken care of. */
export interface RegistryClient {
  /** What a tag or digest points to, without its body. undefined when the registry answers that there is none. */
  resolve(reference: Reference, task: Task): Promise<Descriptor | undefined>
  /** @throws {ManifestUnknown} */
  fetchManifest(reference: Reference, task: Task): Promise<FetchedManifest>
  /** The verified bytes of a blob; a broken connection is continued where it broke. */
  fetchBlob(repository: Reference, blob: Descriptor, task: Task<TransferEvent>): AsyncIterable<Uint8Array>
  /** What is left of a blob whose beginning the caller has, if only none of it, and checks together with the rest. */
  continueBlob(repository: Reference, part: { readonly blob: Descriptor; readonly fromByte: number }, task: Task<TransferEvent>): AsyncIterable<Uint8Array>
  /** Uploads, mounts or finds the blob in the repository. */
  pushBlob(repository: Reference, upload: { readonly blob: Descriptor; readonly source: BlobSource }, task: Task<TransferEvent>): Promise<void>
  /** Uploads a blob while it is being made. Of a registry that has it already no more is sent than until that is known. */
  pushGrowing(repository: Reference, growing: GrowingBlob, task: Task<TransferEvent>): Promise<Descriptor>
  /** Writes a manifest whose blobs are there, under the reference's tag or by digest. */
  pushManifest(reference: Reference, manifest: { readonly bytes: Uint8Array; readonly mediaType: string }, task: Task): Promise<Descriptor>
  readonly catalog: RegistryCatalog
}

/** What registries have, and taking it away. Mirrors are not asked: they may know less. */
export interface RegistryCatalog {
  /** @throws {ManifestUnknown} when there is no such repository */
  tags(repository: Reference, task: Task): AsyncIterable<string>
  /** Most registries let only administrators see them all. */
  repositories(registry: string, task: Task): AsyncIterable<string>
  /** Signatures and the like of the manifest that the reference's digest names. */
  referrers(subject: Reference & { readonly digest: Digest }, artifactType: string | undefined, task: Task): Promise<Descriptor[]>
  /** A tag; with a digest the manifest and all its tags. @throws {ManifestUnknown} @throws {DeletionRefused} */
  deleteManifest(reference: Reference, task: Task): Promise<void>
  /** @throws {BlobUnknown} @throws {DeletionRefused} */
  deleteBlob(repository: Reference, digest: Digest, task: Task): Promise<void>
  /** Whether the registry lets us in at all. @throws {AccessDenied} */
  checkAccess(registry: string, task: Task): Promise<void>
  /** What the registries asked so far said of how many pulls are left. */
  rateLimits(): RateLimit[]
}

export interface PullRequest {
  readonly reference: Reference
  readonly platform: Platform
}

/** An image chosen for one platform, its manifest and config read, its layers not. */
export interface RemoteImage {
  /** What the name points to: the index, when there is one. */
  readonly target: Descriptor
  readonly manifest: FetchedManifest
  readonly configBytes: Uint8Array
}
