import type { Task } from '../../../core/task.ts'
import type { Compression, Descriptor } from '../../../oci/descriptor.ts'
import type { BuildEvent } from '../../events.ts'
import type { SharedRecord } from './cache-config.ts'

/** Where a cache is read from. */
export type CacheSource =
  /** A cache, or an image with an inline cache, in a registry. */
  | { readonly type: 'registry'; readonly name: string }
  /** A folder that is an OCI image layout. */
  | { readonly type: 'local'; readonly folder: string; readonly tag: string }

/** Where a build's cache is written to. `max` has every step, `min` those whose layers are in the image. */
export type CacheTarget =
  /** Within the image itself. */
  | { readonly type: 'inline' }
  | CacheSource & {
    readonly mode: 'min' | 'max'
    readonly compression: Compression
    /** Whether what the place has of other builds goes. */
    readonly isReset: boolean
    /** Whether a build succeeds although its cache cannot be written. */
    readonly ignoresErrors: boolean
  }

/** A cache that was read: its records, and how to get at its layers. */
export interface OpenedSource {
  readonly place: CacheSource
  readonly records: readonly SharedRecord[]
  readonly open: (blob: Descriptor, task: Task<BuildEvent>) => AsyncIterable<Uint8Array>
}

export function describePlace(place: CacheSource): string {
  return place.type === 'registry' ? place.name : `${place.folder} (${place.tag})`
}
