import type { Task } from '../../core/task.ts'

/** A directory that `RUN --mount=type=cache` keeps between builds. */
export interface CacheMount {
  /** What the store calls it: for `remove`. */
  readonly name: string
  /** As the Dockerfile calls it, after the namespace of the build. */
  readonly id: string
  /** As it is asked for. */
  readonly uid: number
  readonly gid: number
  readonly mode: number
  /** What it began with; empty when it began empty. */
  readonly seed: string
  readonly createdAtMs: number
  readonly usedAtMs: number
}

export interface MeasuredCacheMount extends CacheMount {
  /** Of the directory itself. */
  readonly owner: { readonly uid: number; readonly gid: number }
  readonly inodes: number
  readonly diskBytes: number
}

/** Equal `id`, owner, mode and seed mean the same cache. */
export interface CacheMountRequest extends Pick<CacheMount, 'id' | 'uid' | 'gid' | 'mode'> {
  /**
   * `shared`: any number use it at the same time. `locked`: one after the other. `private`: who finds it in use gets
   * another one. This holds for all processes with the store open.
   */
  readonly sharing: 'shared' | 'private' | 'locked'
  /** Of the directory of a new one; default `uid` and `gid`. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** What a new one is filled with, and a name that changes with it. */
  readonly seed: { readonly name: string; readonly changeset: () => AsyncIterable<Uint8Array> } | undefined
}

/** A cache mount in use until it is disposed of. */
export interface HeldCacheMount extends AsyncDisposable {
  readonly path: string
}

export interface CacheMounts {
  /** Finds or makes one, waiting for others where sharing asks for it. */
  hold(request: CacheMountRequest, task: Task): Promise<HeldCacheMount>
  /** Those used last first. */
  list(task: Task): Promise<MeasuredCacheMount[]>
  remove(name: string, task: Task): Promise<'removed' | 'in-use' | 'missing'>
}
