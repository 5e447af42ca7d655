import type { Task } from '../../core/task.ts'
import type { Store } from '../store.ts'

/** An invariant of the store that does not hold. */
export interface Finding {
  readonly check: Check
  /** A digest, chainID, path, name or session. */
  readonly object: string
  readonly expected?: string | number
  readonly actual?: string | number
}

export type Check =
  /** The file of a recorded blob is gone, has another size, or other bytes. */
  | 'blob-missing' | 'blob-size' | 'blob-digest'
  /** The directory of a recorded layer is gone, or the layer below it, or the blob with its exact bytes. */
  | 'layer-missing' | 'layer-parent' | 'layer-source'
  /** A layer no longer gives its diffID, has another chainID than it should, or other counts than recorded. */
  | 'layer-diff-id' | 'layer-chain-id' | 'layer-inodes'
  /** What containers see of a layer is not what its changeset says. */
  | 'layer-tree'
  /** The index of a layer is not the one of its tar. */
  | 'layer-index'
  /** An image lacks its manifest or config, or these do not say what is recorded. */
  | 'image-document' | 'image-layers'
  /** A name or a cache entry points to nothing; a name's own manifest is not there or wrong. */
  | 'name-dangling' | 'cache-dangling' | 'name-manifest'
  /** index.json is not what the database says. */
  | 'index'
  /** Leases or files of a process that is gone. */
  | 'session-dead'
  /** A file or directory that nothing refers to. */
  | 'stray'

/** What a check works with. */
export interface Checking {
  readonly store: Store
  readonly found: (finding: Finding) => void
  readonly task: Task
}
