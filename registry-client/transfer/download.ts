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

/** So much more than before a cut is progress, after which patience starts anew. */
const progressBytes = 1024 * 1024

/** How far one blob has come, over all places it is read from. */
interface Position {
  doneBytes: number
  /** The places that gave some of the bytes, in order. */
  readonly givers: Place[]
}

/**
 * The bytes of a blob, in order and each once. A cut connection is continued where it broke, at the same place while that
 * gets further, then at the next; the digest is taken over all of it. When it is wrong, the place that began is asked last
 * from then on, and the error says whether asking again is worth while.
 */
export async function* fetchBlob(connections: Connections, { repository, blob }: { repository: Reference; blob: Descriptor }, task: Task<TransferEvent>): AsyncGenerator<Uint8Array, void, undefined> {
  refuseForeign(blob)
  const progress = createProgress('pull', blob, task.emit)
  const { memory, registries } = connections
  const places = memory.order(pullPlaces(repository, registries, 'blob'), blob.digest)
  const position: Position = { doneBytes: 0, givers: [] }
  try {
    for await (const chunk of verifyBytes(readPlaces(connections, { places, blob, position }, silent(task)), blob)) {
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

/** From where the blob stands to its end, or to the next cut. */
async function* readOnce(connections: Connections, { place, blob, position, isLast }: Piece, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
  const offset = position.doneBytes
  const what = `pull blob "${blob.digest}"`
  const reply = await connections.endpoint(place).send({
    what,
    method: 'GET',
    target: `/v2/${place.repository}/blobs/${blob.digest}`,
    scopes: [repositoryScope(place.repository, 'pull')],
    expect: offset === 0 ? [200, 404] : [200, 206, 404, 416],
    ...(offset === 0 ? {} : { headers: { range: `bytes=${offset}-` } }),
    ...(isLast ? {} : { attempts: 2 }),
  }, task)
  try {
    if (reply.status === 404) throw new BlobUnknown(blob.digest, place.host)
    if (reply.status === 416) throw new InvalidAnswer(what, reply.host, `has no more than ${offset} bytes under this digest, expected ${blob.size}`)
    checkExtent(reply, { what, offset, blob })
  } catch (error) {
    await reply.discard()
    throw error
  }
  await refuseEncoding(reply, what, reply.host)
  position.givers.push(place)
  yield* reply.status === 200 ? skip(reply.body, offset) : reply.body
}

/** A part must be exactly the one asked for, a whole must have the blob's size. */
function checkExtent(reply: Reply, { what, offset, blob }: { what: string; offset: number; blob: Descriptor }): void {
  if (reply.status === 206) {
    const range = reply.header('content-range') ?? ''
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/u.exec(range) ?? []
    const isRight = Number(first) === offset && Number(last) < blob.size && (total === '*' || Number(total) === blob.size)
    if (!isRight) throw new InvalidAnswer(what, reply.host, `sent range ${JSON.stringify(range.slice(0, 80))}, asked for bytes from ${offset} of ${blob.size}`)
    return
  }
  const length = reply.header('content-length')
  if (length !== undefined && Number(length) !== blob.size) {
    throw new InvalidAnswer(what, reply.host, `has ${length.slice(0, 30)} bytes under this digest, expected ${blob.size}`)
  }
}

/** For a server that does not know ranges and begins anew. */
async function* skip(bytes: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array, void, undefined> {
  let remaining = count
  for await (const chunk of bytes) {
    if (chunk.byteLength > remaining) yield chunk.subarray(remaining)
    remaining = Math.max(0, remaining - chunk.byteLength)
  }
}
