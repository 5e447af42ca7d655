import { tmpdir } from 'node:os'
import type { Task } from '../../../core/task.ts'
import type { PipeReader } from '../../../native/index.ts'
import { WireWriter } from '../../../native/index.ts'
import { pourTreeMode, readTreeMode } from '../../tree/tree-helper.ts'
import type { ChangesetEntry, EntryMetadata, FileContent } from './changeset-entry.ts'

/**
 * A changeset of our own encoding. A layer made of it gives the same bytes again when its directory is packed, so that
 * the store need not keep them. It can be read once.
 */
export class PackedChangeset implements AsyncIterable<Uint8Array> {
  /** Instead of reading it here: lets somebody read it from a pipe. undefined where it passes through this process. */
  readonly pour: ((read: PipeReader) => Promise<void>) | undefined
  /** How many it has, where that is known. */
  readonly entries: number | undefined
  readonly #bytes: AsyncGenerator<Uint8Array, unknown, undefined>

  constructor(bytes: AsyncGenerator<Uint8Array, unknown, undefined>, { pour, entries }: { readonly pour?: (read: PipeReader) => Promise<void>; readonly entries?: number | undefined } = {}) {
    this.#bytes = bytes
    this.pour = pour
    this.entries = entries
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, unknown, undefined> {
    return this.#bytes
  }
}

/**
 * Writes a changeset from entries in the order of `compareEntryPaths`, in which every directory on the way to an entry
 * has an entry itself. Files are opened when their turn comes. Errors come while it is read.
 * @throws {Unrepresentable} for an entry out of order, or one that no layer can carry
 * @throws {SourceChanged} for a file that is not what its entry says any more
 */
export function packChangeset(entries: AsyncIterable<ChangesetEntry> | Iterable<ChangesetEntry>, task: Task): PackedChangeset {
  const work = { mode: 'pack-list', request: new WireWriter().finish(), doing: 'pack', root: tmpdir() }
  return new PackedChangeset(readTreeMode(work, task, encodeEntries(entries)), {
    pour: async (read) => { await pourTreeMode(work, { read, input: encodeEntries(entries) }, task) },
    entries: Array.isArray(entries) ? entries.length : undefined,
  })
}

const frames = { source: 1, entry: 2, chunk: 3, end: 4 } as const
const contents = { none: 0, host: 1, range: 2, bytes: 3 } as const
const types: Readonly<Record<ChangesetEntry['type'], string>> = {
  file: '0', 'hard-link': '1', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6', whiteout: 'w', opaque: 'o',
}
const batchBytes = 64 * 1024
const chunkBytes = 512 * 1024
const noMetadata: EntryMetadata = { mode: 0, uid: 0, gid: 0, mtimeNs: 0n }
const noBytes = new Uint8Array()

/** The frames that native/helper/tree/pack/pack-list.c reads. */
async function* encodeEntries(entries: AsyncIterable<ChangesetEntry> | Iterable<ChangesetEntry>): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = new WireWriter()
  const sources = new Map<string, number>()
  for await (const entry of entries) {
    if (entry.type === 'file') addSource(writer, sources, entry.content)
    writer.frame(() => { writeEntry(writer, sources, entry) })
    if (entry.type === 'file' && entry.content.kind === 'bytes') yield* writeChunks(writer, entry.content.bytes)
    if (writer.length >= batchBytes) yield writer.take()
  }
  yield writer.frame(() => writer.u8(frames.end)).take()
}

function* writeChunks(writer: WireWriter, bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes)
    writer.frame(() => writer.u8(frames.chunk).raw(chunk))
    if (writer.length >= batchBytes) yield writer.take()
  }
}

function addSource(writer: WireWriter, sources: Map<string, number>, content: FileContent): void {
  const path = sourceOf(content)
  if (path === undefined || sources.has(path)) return
  sources.set(path, sources.size)
  writer.frame(() => writer.u8(frames.source).bytes(path))
}

function sourceOf(content: FileContent): string | undefined {
  switch (content.kind) {
    case 'host': return content.root
    case 'range': return content.file
    case 'bytes': return undefined
  }
}

function writeEntry(writer: WireWriter, sources: ReadonlyMap<string, number>, entry: ChangesetEntry): void {
  const metadata = 'mode' in entry ? entry : noMetadata
  const device = 'major' in entry ? entry : { major: 0, minor: 0 }
  writer.u8(frames.entry).u8(types[entry.type].charCodeAt(0)).bytes(entry.path)
  writer.u32(metadata.mode).u32(metadata.uid).u32(metadata.gid).u64(wholeSeconds(metadata.mtimeNs))
  writer.u32(device.major).u32(device.minor).bytes('target' in entry ? entry.target : noBytes)
  writer.list([...metadata.xattrs ?? []], ([name, value]) => writer.bytes(Buffer.from(name, 'latin1')).bytes(value))
  if (entry.type === 'file') writeContent(writer, sources, entry.content)
  else writer.u8(contents.none)
}

function writeContent(writer: WireWriter, sources: ReadonlyMap<string, number>, content: FileContent): void {
  const source = sources.get(sourceOf(content) ?? '') ?? 0
  switch (content.kind) {
    case 'host': writer.u8(contents.host).u32(source).bytes(content.path).u64(BigInt(content.sizeBytes)); break
    case 'range': writer.u8(contents.range).u32(source).u64(BigInt(content.offset)).u64(BigInt(content.sizeBytes)); break
    case 'bytes': writer.u8(contents.bytes).u64(BigInt(content.bytes.byteLength)); break
  }
}

/** Rounded down, so that a time before 1970 stays before it. */
function wholeSeconds(nanoseconds: bigint): bigint {
  const seconds = nanoseconds / 1_000_000_000n
  return nanoseconds < 0n && nanoseconds % 1_000_000_000n !== 0n ? seconds - 1n : seconds
}
