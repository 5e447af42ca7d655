import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Reference, TransferEvent } from '../../registry-client/index.ts'

/** A manifest or index as it lies there. */
export interface LoadedDocument {
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
}

/** Where an image is copied from. All bytes are checked against their digests. */
export interface ImageSource {
  readonly top: LoadedDocument
  document(descriptor: Descriptor, task: Task): Promise<Uint8Array>
  blob(part: { readonly blob: Descriptor; readonly fromByte: number }, task: Task<TransferEvent>): AsyncIterable<Uint8Array>
  /** Repositories that hold a blob as well. */
  origins(blob: Descriptor): readonly Reference[]
}
