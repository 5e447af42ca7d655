import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { InvalidAnswer } from '../errors.ts'
import type { Endpoint, Reply } from '../http/endpoint.ts'
import type { RequestBody } from '../http/message.ts'
import type { Connections } from './connections.ts'
import type { Place } from './places.ts'
import type { Progress } from './progress.ts'
import type { SourceReader } from './source-reader.ts'

/** Bytes on their way into one repository, of a blob that need not be known yet. */
export interface Route {
  readonly connections: Connections
  readonly endpoint: Endpoint
  readonly place: Place
  readonly reader: Pick<SourceReader, 'piece'>
  readonly what: string
  readonly scopes: readonly string[]
  readonly task: Task
  /** Told how far it has come. */
  readonly advanced: (doneBytes: number) => void
}

/** One blob on its way into one repository. */
export interface Upload extends Route {
  readonly blob: Descriptor
  readonly progress: Progress
}

/** An upload the registry has begun for us: where it goes on, and what has arrived. */
export interface Session { readonly location: URL; readonly offset: number }

export function uploadsPath({ repository }: Place): string {
  return `/v2/${repository}/blobs/uploads/`
}

export async function begin(upload: Route): Promise<Session> {
  const { endpoint, place, scopes, task, what } = upload
  const reply = await endpoint.send({ what, method: 'POST', target: uploadsPath(place), scopes, expect: [202] }, task)
  await reply.discard()
  return openSession(upload, reply)
}

/** The session that an answer to POST begins. */
export function openSession({ connections, endpoint, place }: Route, reply: Reply): Session {
  const least = reply.header('oci-chunk-min-length') ?? ''
  if (/^\d{1,12}$/u.test(least)) connections.chunkSizes.atLeast(place.host, Number(least))
  return { location: endpoint.ownLocation(reply), offset: 0 }
}

/** Sends the next piece. The registry of go-containerregistry answers 204, as Docker's API once said. @throws {InvalidAnswer} when the registry took nothing of it */
export async function append(upload: Route, { location, offset }: Session, length: number): Promise<Session> {
  const { endpoint, scopes, task, what } = upload
  const reply = await endpoint.send({
    what, method: 'PATCH', target: location, scopes, expect: [202, 204], attempts: 1,
    headers: { 'content-type': 'application/octet-stream', 'content-range': `${offset}-${offset + length - 1}` },
    body: bodyFrom(upload, offset, length),
  }, task)
  await reply.discard()
  const received = receivedBytes(reply) ?? offset + length
  if (received <= Math.max(offset, 1)) throw new InvalidAnswer(what, reply.host, `took none of the bytes from ${offset} on`)
  return { location: endpoint.ownLocation(reply), offset: Math.min(received, offset + length) }
}

/** Ends the upload with what is left of the blob, which may be all of it. */
export async function complete(upload: Upload, { location, offset }: Session): Promise<void> {
  const { blob, connections: { limits }, endpoint, scopes, task, what } = upload
  const isPart = offset > 0 && offset < blob.size
  const reply = await endpoint.send({
    what, method: 'PUT', target: withDigest(location, blob.digest), scopes, expect: [201, 204], attempts: 1, answerMs: limits.commitMs,
    headers: { 'content-type': 'application/octet-stream', ...(isPart ? { 'content-range': `${offset}-${blob.size - 1}` } : {}) },
    body: bodyFrom(upload, offset, blob.size - offset),
  }, task)
  await reply.discard()
  const stated = reply.header('docker-content-digest')
  if (stated !== undefined && stated !== blob.digest) throw new InvalidAnswer(what, reply.host, `states digest ${JSON.stringify(stated.slice(0, 150))}`)
}

/** The query the registry gave is its own and stays as it is, byte for byte. */
function withDigest(location: URL, digest: string): URL {
  const url = new URL(location)
  url.search += `${url.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`
  return url
}

/** Where the registry stands; undefined when it knows the session no more, or nothing in it is worth going on from. */
export async function inquire(upload: Upload, { location }: Pick<Session, 'location'>): Promise<Session | undefined> {
  const { blob, endpoint, scopes, task, what } = upload
  const reply = await endpoint.send({ what, method: 'GET', target: location, scopes, expect: [200, 202, 204, 400, 404, 405] }, task)
  await reply.discard()
  const received = receivedBytes(reply)
  if (reply.status >= 400 || received === undefined || received <= 1 || received > blob.size) return undefined
  return { location: reply.header('location') === undefined ? location : endpoint.ownLocation(reply), offset: received }
}

/** `0-N` says that N+1 bytes are there, except that `0-0` is also said of none. @see distribution-spec "Pushing a blob in chunks" */
function receivedBytes(reply: Reply): number | undefined {
  const last = /^(?:bytes=)?0-(\d{1,15})$/u.exec(reply.header('range') ?? '')?.[1]
  return last === undefined ? undefined : Number(last) + 1
}

function bodyFrom({ advanced, reader }: Route, offset: number, length: number): RequestBody {
  return {
    sizeBytes: length,
    async *open() {
      if (length === 0) return
      let position = offset
      for await (const chunk of reader.piece(offset, length)) {
        yield chunk
        position += chunk.byteLength
        advanced(Math.min(position, offset + length))
      }
    },
  }
}
