import type { Task } from '../../core/task.ts'
import type { LowerLayer, PipedBytes } from '../../native/index.ts'
import { WireReader, WireWriter, writeLower } from '../../native/index.ts'
import type { OverlayXattrs } from './tree-helper.ts'
import { pipeTreeMode, readTreeMode } from './tree-helper.ts'

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
  const answer = yield* readTreeMode({ mode: 'pack-tree', request: encode(request), doing: 'pack', root: request.root }, task)
  const reader = new WireReader(answer.done[0] ?? new Uint8Array())
  return {
    entries: Number(reader.u64()),
    inodes: Number(reader.u64()),
    diskBytes: Number(reader.u64()),
    tarBytes: Number(reader.u64()),
  }
}

/** The same changeset, for somebody who reads a descriptor. */
export function pipeTree(request: PackRequest, task: Task): PipedBytes {
  return pipeTreeMode({ mode: 'pack-tree', request: encode(request), doing: 'pack', root: request.root }, task)
}

function encode(request: PackRequest): Uint8Array {
  const writer = new WireWriter()
    .bytes(request.directory)
    .flag(request.xattrs === 'user')
    .flag(request.hasRoot)
    .flag(request.opaqueMarks === 'all')
  writer.list(request.lowers, (lower) => { writeLower(writer, lower) })
  return writer.finish()
}
