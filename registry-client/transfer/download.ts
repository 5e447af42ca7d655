import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import { DigestMismatch, UnsupportedMediaType } from '../../oci/errors.ts'
import { verifyBytes } from '../../oci/verify.ts'
import type { TransferEvent } from '../client.ts'
import type { FailedPlace } from '../errors.ts'
import { BlobUnknown, InvalidAnswer, RegistryUnreachable, WrongContent } from '../errors.ts'
import { refuseEncoding } from '../http/document.ts'
import type { Reply } from '../http/endpoint.ts'
import { backoff, isTransient, pause } from '../http/retry.ts'
import { repositoryScope } from '../http/scope.ts'
import type { Reference } from '../reference.ts'
import type { Connections } from './connections.ts'
import type { Place } from './places.ts'
import { allFailed, pullPlaces } from './places.ts'
import { createProgress } from './progress.ts'
import type { ByteRange } from './ranges.ts'
import { createPace, rangeBytes, readRanges } from './ranges.ts'

/** So much more than before a cut is progress, after which patience starts anew. */
const progressBytes = 1024 * 1024

/** How far one blob has come, over all places it is read from. */
interface Position {
  doneBytes: number
  /** The places that gave some of the bytes, in order. */
  readonly givers: Place[]
  /** What hosts called the thing that they began with. */
  readonly etags: Map<string, string>
}

export interface BlobRequest {
  readonly repository: Reference
  readonly blob: Descriptor
  /** The bytes before it are there, and are the caller's to check together with the others. */
  readonly fromByte: number
}

/**
 * The bytes of a blob, in order and each once. A cut connection is continued where it broke, at the same place while that
 * gets further, then at the next; the digest is taken over all of it. When it is wrong, the place that began is asked last
 * from then on, and the error says whether asking again is worth while.
 */
export async function* fetchBlob(connections: Connections, { repository, blob, fromByte }: BlobRequest, task: Task<TransferEvent>): AsyncGenerator<Uint8Array, void, undefined> {
  refuseForeign(blob)
  const progress = createProgress('pull', blob, task.emit)
  const { memory, registries } = connections
  const places = memory.order(pullPlaces(repository, registries, 'blob'), blob.digest)
  const position: Position = { doneBytes: fromByte, givers: [], etags: new Map() }
  const bytes = fromByte === blob.size && fromByte > 0 ? none() : readPlaces(connections, { places, blob, position }, silent(task))
  try {
    for await (const chunk of fromByte === 0 ? verifyBytes(bytes, blob) : bytes) {
      progress.advanced(position.doneBytes)
      yield chunk
    }
  } catch (error) {
    const [first] = position.givers
    if (!(error instanceof DigestMismatch) || first === undefined) throw error
    memory.sentWrong(first, blob.digest, position.givers.length === 1)
    throw new WrongContent(first.host, error, memory.isHopeful(places, blob.digest))
  }
  progress.finished('transferred')
}

async function* none(): AsyncGenerator<Uint8Array, void, undefined> {}

/** @throws {UnsupportedMediaType} */
export function refuseForeign({ mediaType }: Descriptor): void {
  if (mediaType !== mediaTypes.dockerForeignLayer && !mediaType.includes('.layer.nondistributable.')) return
  throw new UnsupportedMediaType(mediaType, 'registries do not keep foreign layers, and addresses that an image names are not followed')
}

interface Reading { readonly places: readonly Place[]; readonly blob: Descriptor; readonly position: Position }

async function* readPlaces(connections: Connections, { places, blob, position }: Reading, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
  const failures: FailedPlace[] = []
  for (const [index, place] of places.entries()) {
    try {
      yield* readPersistently(connections, { place, blob, position, isLast: index === places.length - 1 }, task)
      return
    } catch (error) {
      task.signal.throwIfAborted()
      if (error instanceof DigestMismatch) throw error
      connections.memory.failed(place, error)
      failures.push({ host: place.host, error })
    }
  }
  throw allFailed(`pull blob "${blob.digest}"`, failures)
}

interface Piece { readonly place: Place; readonly blob: Descriptor; readonly position: Position; readonly isLast: boolean }

async function* readPersistently(connections: Connections, piece: Piece, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
  const { blob, position, isLast, place } = piece
  const attempts = isLast ? connections.limits.attempts : 2
  let setbacks = 0
  let markBytes = position.doneBytes
  for (;;) {
    try {
      for await (const chunk of readOnce(connections, piece, task)) {
        position.doneBytes += chunk.byteLength
        yield chunk
      }
      if (position.doneBytes >= blob.size) return
      throw new RegistryUnreachable(place.host, { reason: 'reset', detail: 'ended early', text: `blob "${blob.digest}" ended after ${position.doneBytes} of ${blob.size} bytes`, isTransient: true })
    } catch (error) {
      task.signal.throwIfAborted()
      if (position.doneBytes - markBytes >= progressBytes) setbacks = 0
      markBytes = position.doneBytes
      setbacks += 1
      if (!isTransient(error) || setbacks >= attempts) throw error
      await pause(backoff(setbacks, connections.limits), task.signal)
    }
  }
}

/** From where the blob stands to its end, or to the next cut: over several connections once one alone proves slow. */
async function* readOnce(connections: Connections, piece: Piece, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
  const { place, blob, position } = piece
  const offset = position.doneBytes
  const reply = await ask(connections, { ...piece, range: offset === 0 ? undefined : { first: offset, last: undefined } }, task)
  position.givers.push(place)
  const knowsRanges = reply.status === 206 || reply.header('accept-ranges') === 'bytes'
  const pace = createPace()
  const isWorthSplitting = (): boolean => knowsRanges && pace.isSlow() && blob.size - position.doneBytes > minParallelBytes
  for await (const chunk of reply.status === 200 ? skip(reply.body, offset) : reply.body) {
    pace.received(chunk.byteLength)
    yield chunk
    if (isWorthSplitting()) break
    pace.waiting()
  }
  if (!isWorthSplitting()) return
  const read = async (range: ByteRange, rangeTask: Task): Promise<Uint8Array[]> => readRange(connections, { ...piece, range }, rangeTask)
  yield* readRanges({ blob, fromByte: position.doneBytes, read }, task)
}

/** With less left, opening connections costs more than it spares. */
const minParallelBytes = 4 * rangeBytes

interface Wish extends Piece { readonly range: { readonly first: number; readonly last: number | undefined } | undefined }

async function ask(connections: Connections, wish: Wish, task: Task): Promise<Reply> {
  const { place, blob, isLast, range } = wish
  const what = `pull blob "${blob.digest}"`
  const reply = await connections.endpoint(place).send({
    what,
    method: 'GET',
    target: `/v2/${place.repository}/blobs/${blob.digest}`,
    scopes: [repositoryScope(place.repository, 'pull')],
    expect: range === undefined ? [200, 404] : [200, 206, 404, 416],
    ...(range === undefined ? {} : { headers: { range: `bytes=${range.first}-${range.last ?? blob.size - 1}` } }),
    ...(isLast ? {} : { attempts: 2 }),
  }, task)
  try {
    if (reply.status === 404) throw new BlobUnknown(blob.digest, place.host)
    if (reply.status === 416) throw new InvalidAnswer(what, reply.host, `has no more than ${range?.first ?? 0} bytes under this digest, expected ${blob.size}`)
    checkExtent(reply, { what, blob, first: range?.first ?? 0, last: range?.last ?? blob.size - 1 })
    checkSame(reply, connections, wish)
  } catch (error) {
    await reply.discard()
    throw error
  }
  await refuseEncoding(reply, what, reply.host)
  return reply
}

/** Exactly one range, whole. */
async function readRange(connections: Connections, wish: Wish & { readonly range: ByteRange }, task: Task): Promise<Uint8Array[]> {
  const { blob, place, range } = wish
  const reply = await ask(connections, wish, task)
  const wantedBytes = range.last - range.first + 1
  if (reply.status !== 206) {
    await reply.discard()
    throw new InvalidAnswer(`pull blob "${blob.digest}"`, reply.host, 'sent all of it where a part was asked for, as it had sent before')
  }
  const chunks: Uint8Array[] = []
  let receivedBytes = 0
  for await (const chunk of reply.body) {
    receivedBytes += chunk.byteLength
    if (receivedBytes > wantedBytes) break
    chunks.push(chunk)
  }
  if (receivedBytes !== wantedBytes) {
    throw new RegistryUnreachable(place.host, { reason: 'reset', detail: 'ended early', text: `a part of blob "${blob.digest}" had ${receivedBytes} of ${wantedBytes} bytes`, isTransient: true })
  }
  return chunks
}

interface Extent { readonly what: string; readonly blob: Descriptor; readonly first: number; readonly last: number }

/** A part must be exactly the one asked for, a whole must have the blob's size. */
function checkExtent(reply: Reply, { what, blob, first, last }: Extent): void {
  if (reply.status === 206) {
    const range = reply.header('content-range') ?? ''
    const [, start, end, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/u.exec(range) ?? []
    const isRight = Number(start) === first && Number(end) <= last && (total === '*' || Number(total) === blob.size)
    if (!isRight) throw new InvalidAnswer(what, reply.host, `sent range ${JSON.stringify(range.slice(0, 80))}, asked for bytes from ${first} of ${blob.size}`)
    return
  }
  const length = reply.header('content-length')
  if (length !== undefined && Number(length) !== blob.size) {
    throw new InvalidAnswer(what, reply.host, `has ${length.slice(0, 30)} bytes under this digest, expected ${blob.size}`)
  }
}

/**
 * The rest of another thing is not put behind what there is: the next try begins anew. That is believed of a place once,
 * as machines behind one name may each have ETags of their own; after that the digest alone decides.
 * @throws {DigestMismatch}
 * @see RFC 9110, 8.8.3 and 13.1.5
 */
function checkSame(reply: Reply, { memory }: Connections, { place, blob, position, range }: Wish): void {
  const etag = reply.header('etag') ?? ''
  if (!/^"[^"]*"$/u.test(etag)) return
  const begun = range === undefined ? undefined : position.etags.get(reply.host)
  if (begun === undefined) position.etags.set(reply.host, etag)
  if (begun === undefined || begun === etag || memory.hasStrike(place, blob.digest)) return
  position.givers.push(place)
  throw new DigestMismatch(blob, { digest: undefined, sizeBytes: position.doneBytes })
}

/** For a server that does not know ranges and begins anew. */
async function* skip(bytes: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array, void, undefined> {
  let remaining = count
  for await (const chunk of bytes) {
    if (chunk.byteLength > remaining) yield chunk.subarray(remaining)
    remaining = Math.max(0, remaining - chunk.byteLength)
  }
}
