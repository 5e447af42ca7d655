import type { Task } from '../../core/task.ts'
import type { LowerLayer } from '../../native/index.ts'
import { WireReader, WireWriter, writeLower } from '../../native/index.ts'
import type { OverlayXattrs } from './tree-helper.ts'
import { feedTreeMode } from './tree-helper.ts'

export interface UnpackRequest {
  readonly root: string
  /** An empty directory, which becomes the layer. */
  readonly directory: string
  readonly xattrs: OverlayXattrs
  /** False in a bottom layer of somebody else's making, where a whiteout would only leave a ghost in listings. */
  readonly makesWhiteouts: boolean
  readonly maxBytes: number
  /** Of processor time: more is an attack or a mistake. */
  readonly maxSeconds: number
  /** The layers below, top first; undefined while they are not known. */
  readonly lowers: readonly LowerLayer[] | undefined
}

export type UnpackOutcome =
  | { readonly kind: 'unpacked'; readonly entries: number; readonly inodes: number; readonly diskBytes: number; readonly hasRoot: boolean; readonly hidesBelow: boolean }
  /** Implied directories or hard links refer to the layers below, which were not given. The directory is to be thrown away. */
  | { readonly kind: 'needs-lowers'; readonly path: Buffer }

/**
 * Writes a changeset as an overlay layer. On failure the directory is left partial.
 * @throws {HostileArchive}
 * @see image-spec layer.md "Applying Changesets"
 */
export async function unpackTree(request: UnpackRequest, changeset: AsyncIterable<Uint8Array>, task: Task): Promise<UnpackOutcome> {
  const writer = new WireWriter()
    .bytes(request.directory)
    .flag(request.xattrs === 'user')
    .flag(request.makesWhiteouts)
    .u64(BigInt(request.maxBytes))
    .u32(request.maxSeconds)
    .flag(request.lowers !== undefined)
  writer.list(request.lowers ?? [], (lower) => { writeLower(writer, lower) })
  const answer = await feedTreeMode({ mode: 'unpack', request: writer.finish(), doing: 'unpack', root: request.root }, changeset, task)
  if (answer.needsLowers !== undefined) return { kind: 'needs-lowers', path: answer.needsLowers }
  const reader = new WireReader(answer.done[0] ?? new Uint8Array())
  return {
    kind: 'unpacked',
    entries: Number(reader.u64()),
    inodes: Number(reader.u64()),
    diskBytes: Number(reader.u64()),
    hasRoot: reader.u32() === 1,
    hidesBelow: reader.u32() === 1,
  }
}
