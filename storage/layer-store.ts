import type { Task } from '../core/task.ts'
import type { LowerLayer, RootKeeper } from '../native/index.ts'
import type { ChainId, DiffId } from '../oci/digest.ts'
import type { FileContent } from './layer/changeset/changeset-entry.ts'

/** A committed layer: immutable, complete, durable. Counts are recorded at commit, so nobody walks trees for them. */
export interface Layer {
  readonly chainId: ChainId
  readonly diffId: DiffId
  readonly parent: ChainId | undefined
  /** Bytes of the uncompressed changeset tar. */
  readonly tarBytes: number
  /** Bytes and inodes it occupies in the store. */
  readonly diskBytes: number
  readonly inodes: number
}

/** What the runtime mounts as `/`; runtime/ declares the same shape for itself. */
export interface OverlayRootfs {
  readonly kind: 'overlay'
  /** Top layer first. */
  readonly lowers: readonly LowerLayer[]
  readonly upper: { readonly upperdir: string; readonly workdir: string } | undefined
  readonly xattrs: 'trusted' | 'user'
  /** The program fuse-overlayfs, where it mounts the layers in place of the kernel's overlayfs. Then the upperdir has the marks of that program. */
  readonly program?: string
  /** Where its mount may serve the next container. */
  readonly keeper?: RootKeeper
}

/** A complete tree; runtime/ declares the same shape for itself. */
export interface DirectoryRootfs {
  readonly kind: 'directory'
  readonly path: string
  /** A file that whoever runs something in the tree touches when what it made there itself is made. */
  readonly start: string
}

export type { LowerLayer }

/** An active, writable layer on top of a parent. Disposing without commit discards it. */
export interface Snapshot extends AsyncDisposable {
  readonly rootfs: OverlayRootfs | DirectoryRootfs
  /**
   * The folder of what was changed so far, in the form of an overlay upperdir. Nothing may run in the snapshot any more,
   * not afterwards either: what is left is to commit or dispose of it.
   * @throws {TreeFailure}
   */
  changes(task: Task): Promise<string>
  /**
   * Turns what changed into a layer. Nothing may run in the snapshot any more. May be called once; the layer is usable
   * at once and durable when `LayerStore.sync` has returned.
   * @throws {Unrepresentable} for a path that no changeset can carry, such as a file named `.wh.x`
   */
  commit(task: Task): Promise<Layer>
}

/**
 * The layers of one store, whichever format keeps them.
 * @see image-spec layer.md
 */
export interface LayerStore {
  /** A layer found is leased to this session: gc of any process leaves it alone until the session closes. */
  find(chainId: ChainId): Layer | undefined
  /** Makes the layer of an uncompressed changeset tar, which is consumed. Equal content found in the store is kept instead. @throws {HostileArchive} @throws {DiffIdMismatch} */
  apply(parent: ChainId | undefined, changeset: AsyncIterable<Uint8Array>, expected: DiffId | undefined, task: Task): Promise<Layer>
  prepare(parent: ChainId | undefined): Promise<Snapshot>
  /** The exact tar bytes whose digest is the diffID. */
  changeset(chainId: ChainId, task: Task): AsyncIterable<Uint8Array>
  /** The merged tree of a layer and all below it; undefined is the empty tree of `scratch`. */
  view(chainId: ChainId | undefined): RootfsView
  /** What the merged tree is made of, top layer first. */
  lowers(chainId: ChainId | undefined): readonly LowerLayer[]
  /** Returns when every layer committed or applied before the call survives power loss. */
  sync(task: Task): Promise<void>
}

/** What lstat says. Names and link targets are bytes: images hold names that are not UTF-8. */
export interface TreeEntry {
  readonly type: 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket'
  /** Permission bits with setuid, setgid, sticky: 0..0o7777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of a file. 0 of anything else: what a directory or a link takes is the filesystem's affair. */
  readonly sizeBytes: number
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: bigint
  readonly major: number
  readonly minor: number
  /** Equal for hard links of one file within one layer. */
  readonly fileId: string
  readonly nlink: number
  /** Of a symlink. */
  readonly target: Buffer | undefined
}

/**
 * Reading a root filesystem without mounting it. Paths are absolute inside it; `resolve` follows links as a process with
 * this root would, and no link leads out.
 */
export interface RootfsView {
  /** The entry at a path whose parent components are followed but which is not followed itself. */
  lstat(path: Buffer | string): Promise<TreeEntry | undefined>
  /** The path with every symlink resolved as far as it exists, the rest appended. @throws {LinkLoop} */
  resolve(path: Buffer | string): Promise<Buffer>
  /** Names in byte order. The path itself is not followed. @throws {UnexpectedEntry} when it is no directory */
  list(path: Buffer | string): Promise<Buffer[]>
  /** A file's bytes. The path itself is not followed. @throws {UnexpectedEntry} when it is no regular file @throws {StreamTooLarge} */
  readFile(path: Buffer | string, maxBytes: number): Promise<Buffer>
  /** Extended attributes as a changeset carries them, `name → value`; overlay's own are left out. */
  xattrs(path: Buffer | string): Promise<ReadonlyMap<string, Buffer>>
  /** Where the bytes of a regular file lie on the host, as a changeset entry wants it. @throws {UnexpectedEntry} */
  content(path: Buffer | string): Promise<FileContent>
}
