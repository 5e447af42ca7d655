/** Where the bytes of a file come from. `sizeBytes` is what the header will say: a source of another size is refused. */
export type FileContent =
  /** A file below a directory of the host, opened without following any link; `path` is relative to `root`. */
  | { readonly kind: 'host'; readonly root: string; readonly path: Buffer; readonly sizeBytes: number }
  /** A part of a file of the host. */
  | { readonly kind: 'range'; readonly file: string; readonly offset: number; readonly sizeBytes: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }

export interface EntryMetadata {
  /** Permission bits with setuid, setgid, sticky: 0..0o7777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Cut to whole seconds, as layers carry them. */
  readonly mtimeNs: bigint
  /** As in `RootfsView.xattrs`; what no layer carries is left out. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>
}

interface Placed {
  /** Relative to the root, without `.`, `..`, empty components and slashes at the ends; empty for the root directory itself. */
  readonly path: Buffer
}

/** One entry of a changeset to be written. */
export type ChangesetEntry = Placed & (
  | EntryMetadata & { readonly type: 'file'; readonly content: FileContent }
  | EntryMetadata & { readonly type: 'directory' | 'fifo' }
  | EntryMetadata & { readonly type: 'symlink'; readonly target: Buffer }
  | EntryMetadata & { readonly type: 'char' | 'block'; readonly major: number; readonly minor: number }
  /** Another name of a file that has its entry earlier. Metadata is that of the file. */
  | EntryMetadata & { readonly type: 'hard-link'; readonly target: Buffer }
  /** Deletes what lies below at this path. */
  | { readonly type: 'whiteout' }
  /** Follows its directory: nothing in it from below stays visible. */
  | { readonly type: 'opaque' }
)

const slash = 0x2f

/**
 * The order of entries in every changeset of ours: bytes of the path, with the slash before all others, so that a
 * directory comes right before what is in it.
 */
export function compareEntryPaths(one: Uint8Array, other: Uint8Array): number {
  const shorter = Math.min(one.length, other.length)
  for (let index = 0; index < shorter; index += 1) {
    const a = one[index] ?? 0
    const b = other[index] ?? 0
    if (a !== b) return (a === slash ? 0 : a) - (b === slash ? 0 : b)
  }
  return one.length - other.length
}
