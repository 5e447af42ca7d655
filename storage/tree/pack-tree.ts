import type { Task } from '../../core/task.ts'
import type { LowerLayer, PipeReader } from '../../native/index.ts'
import { WireReader, WireWriter, writeLower } from '../../native/index.ts'
import type { OverlayXattrs, TreeAnswer, TreeMode } from './tree-helper.ts'
import { pourTreeMode, readTreeMode } from './tree-helper.ts'

export interface PackRequest {
  readonly root: string
  /** An upperdir that nobody writes to, or a layer. */
  readonly directory: string
  readonly xattrs: OverlayXattrs
  /** Whether the root gets an entry. */
  readonly hasRoot: boolean
  /** Opaque marks mean something where a directory lies below; overlayfs sets them on every new directory. */
  readonly opaqueMarks: 'where-they-hide' | 'all'
  /** The layers below, top first. */
  readonly lowers: readonly LowerLayer[]
}

export interface PackedTree {
  readonly entries: number
  readonly inodes: number
  readonly diskBytes: number
  readonly tarBytes: number
}

/**
 * The changeset of a tree, the same bytes for the same tree on every machine.
 * @throws {Unrepresentable}
 * @see image-spec layer.md "Representing Changes"
 */
export async function* packTree(request: PackRequest, task: Task): AsyncGenerator<Uint8Array, PackedTree, undefined> {
  return decodeAnswer(yield* readTreeMode(describeWork(request), task))
}

/** The same, with the bytes read by somebody else. @throws {Unrepresentable} */
export async function pourTree(request: PackRequest, read: PipeReader, task: Task): Promise<PackedTree> {
  return decodeAnswer(await pourTreeMode(describeWork(request), { read }, task))
}

function describeWork(request: PackRequest): TreeMode {
  const writer = new WireWriter()
    .bytes(request.directory)
    .flag(request.xattrs === 'user')
    .flag(request.hasRoot)
    .flag(request.opaqueMarks === 'all')
  writer.list(request.lowers, (lower) => { writeLower(writer, lower) })
  return { mode: 'pack-tree', request: writer.finish(), doing: 'pack', root: request.root }
}

function decodeAnswer({ done }: TreeAnswer): PackedTree {
  const reader = new WireReader(done[0] ?? new Uint8Array())
  return {
    entries: Number(reader.u64()),
    inodes: Number(reader.u64()),
    diskBytes: Number(reader.u64()),
    tarBytes: Number(reader.u64()),
  }
}
