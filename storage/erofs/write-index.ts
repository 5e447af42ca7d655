import type { Task } from '../../core/task.ts'
import type { LowerLayer } from '../../native/index.ts'
import { WireReader, WireWriter, writeLower } from '../../native/index.ts'
import type { DiffId } from '../../oci/digest.ts'
import { digestHex } from '../../oci/digest.ts'
import { callTreeMode } from '../tree/tree-helper.ts'

export interface IndexRequest {
  readonly root: string
  /** A changeset, complete. */
  readonly tar: string
  /** Where the index goes. */
  readonly index: string
  /** Of the changeset: names the image, so that overlayfs can tell the layers of a stack apart and follow a copied file to where it came from. */
  readonly diffId: DiffId
  /** False in a bottom layer of somebody else's making, where a whiteout would only leave a ghost in listings. */
  readonly makesWhiteouts: boolean
  readonly maxBytes: number
  /** Of processor time: more is an attack or a mistake. */
  readonly maxSeconds: number
  /** The layers below, top first; undefined while they are not known. */
  readonly lowers: readonly LowerLayer[] | undefined
}

export type IndexOutcome =
  | { readonly kind: 'written'; readonly entries: number; readonly indexBytes: number; readonly hasRoot: boolean; readonly hidesBelow: boolean }
  /** Implied directories or hard links refer to the layers below, which were not given. The index is to be thrown away. */
  | { readonly kind: 'needs-lowers'; readonly path: Buffer }

/**
 * Writes an EROFS image of what a changeset is as an overlay layer, with the files' bytes left in the tar. The same tar
 * on the same layers gives the same bytes. On failure the index is left partial.
 * @throws {HostileArchive}
 * @see image-spec layer.md "Applying Changesets"
 */
export async function writeIndex(request: IndexRequest, task: Task): Promise<IndexOutcome> {
  const writer = new WireWriter()
    .bytes(request.tar)
    .bytes(request.index)
    .bytes(makeUuid(request.diffId))
    .flag(request.makesWhiteouts)
    .u64(BigInt(request.maxBytes))
    .u32(request.maxSeconds)
    .flag(request.lowers !== undefined)
  writer.list(request.lowers ?? [], (lower) => { writeLower(writer, lower) })
  const answer = await callTreeMode({ mode: 'index', request: writer.finish(), doing: 'index', root: request.root }, task)
  if (answer.needsLowers !== undefined) return { kind: 'needs-lowers', path: answer.needsLowers }
  const reader = new WireReader(answer.done[0] ?? new Uint8Array())
  return {
    kind: 'written',
    entries: Number(reader.u64()),
    indexBytes: Number(reader.u64()),
    hasRoot: reader.u32() === 1,
    hidesBelow: reader.u32() === 1,
  }
}

/** The first bytes of a digest, as a UUID of whatever kind one likes. @see RFC 9562, section 5.8 */
function makeUuid(diffId: DiffId): Uint8Array {
  const uuid = Buffer.from(digestHex(diffId).slice(0, 32), 'hex')
  uuid.writeUInt8(uuid.readUInt8(6) & 0x0f | 0x80, 6)
  uuid.writeUInt8(uuid.readUInt8(8) & 0x3f | 0x80, 8)
  return uuid
}
