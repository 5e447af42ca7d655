import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { BlobSource, TransferEvent } from '../client.ts'
import { AccessDenied, BlobUnknown, InvalidAnswer, UnexpectedStatus } from '../errors.ts'
import type { Endpoint, Reply } from '../http/endpoint.ts'
import type { RequestBody } from '../http/message.ts'
import { backoff, isTransient, pause } from '../http/retry.ts'
import { repositoryScope } from '../http/scope.ts'
import type { Reference } from '../reference.ts'
import type { Connections } from './connections.ts'
import type { Place } from './places.ts'
import { pushPlace } from './places.ts'
import type { Progress } from './progress.ts'
import { createProgress } from './progress.ts'

/** What is left below this goes with the request that completes the upload, which spares one. */
const smallBytes = 1024 * 1024
/** So much more than before a cut is progress, after which patience starts anew. */
const progressBytes = 1024 * 1024

interface Upload {
  readonly connections: Connections
  readonly endpoint: Endpoint
  readonly place: Place
  readonly blob: Descriptor
  readonly source: BlobSource
  readonly what: string
  readonly scopes: readonly string[]
  readonly progress: Progress
  readonly task: Task
}

/** An upload the registry has begun for us: where it goes on, and what has arrived. */
interface Session { readonly location: URL; readonly offset: number }

/**
 * Makes the blob be in the repository: it may be there, be mounted from another repository of the registry, or be
 * uploaded. A cut upload goes on where the registry says it stands; one the registry has lost begins anew. At the end the
 * registry is asked whether it has the blob.
 * @see distribution-spec "Pushing blobs"
 */
export async function pushBlob(connections: Connections, { repository, blob, source }: { repository: Reference; blob: Descriptor; source: BlobSource }, task: Task<TransferEvent>): Promise<void> {
  const place = pushPlace(repository, connections.registries)
  const upload: Upload = {
    connections, place, blob, source,
    endpoint: connections.endpoint(place),
    what: `push blob "${blob.digest}"`,
    scopes: [repositoryScope(place.repository, 'pull', 'push')],
    progress: createProgress('push', blob, task.emit),
    task: silent(task),
  }
  if (await isPresent(upload)) {
    upload.progress.finished('present')
    return
  }
  const mounted = await mount(upload)
  if (mounted === 'mounted') {
    upload.progress.finished('mounted')
    return
  }
  await transfer(upload, mounted)
  await confirm(upload)
  upload.progress.finished('transferred')
}

async function isPresent(upload: Upload): Promise<boolean> {
  const { blob, endpoint, place, scopes, task, what } = upload
  const reply = await endpoint.send({ what, method: 'HEAD', target: `/v2/${place.repository}/blobs/${blob.digest}`, scopes, expect: [200, 404] }, task)
  await reply.discard()
  const length = reply.header('content-length')
  if (reply.status === 200 && length !== undefined && Number(length) !== blob.size) {
    throw new InvalidAnswer(what, reply.host, `has ${length.slice(0, 30)} bytes under this digest, expected ${blob.size}`)
  }
  return reply.status === 200
}

/** The session is the registry's answer when it does not mount; undefined when there is nothing to mount from. */
async function mount(upload: Upload): Promise<'mounted' | Session | undefined> {
  const { blob, endpoint, place, scopes, source, task, what } = upload
  const origin = source.origins?.(blob).find(({ registry, repository }) => registry === place.host && repository !== place.repository)
  if (origin === undefined) return undefined
  const query = `mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(origin.repository)}`
  try {
    const reply = await endpoint.send({
      what, method: 'POST', target: `${uploadsPath(place)}?${query}`, expect: [201, 202],
      scopes: [...scopes, repositoryScope(origin.repository, 'pull')],
    }, task)
    await reply.discard()
    return reply.status === 201 ? 'mounted' : { location: endpoint.ownLocation(reply), offset: 0 }
  } catch (error) {
    // Mounting only saves time: a registry that cannot or will not gets the bytes.
    if (error instanceof AccessDenied || (error instanceof UnexpectedStatus && error.status < 500)) return undefined
    throw error
  }
}

function uploadsPath({ repository }: Place): string {
  return `/v2/${repository}/blobs/uploads/`
}

async function transfer(upload: Upload, begun: Session | undefined): Promise<void> {
  const { connections: { limits }, task } = upload
  let session = begun
  let setbacks = 0
  let markBytes = 0
  for (;;) {
    try {
      session ??= await begin(upload)
      while (upload.blob.size - session.offset > smallBytes) session = await append(upload, session)
      await complete(upload, session)
      return
    } catch (error) {
      task.signal.throwIfAborted()
      setbacks += 1
      if (!isRecoverable(error) || setbacks >= limits.attempts) throw error
      await pause(backoff(setbacks, limits), task.signal)
      if (await isPresent(upload)) return
      session = session === undefined ? undefined : await inquire(upload, session)
      if ((session?.offset ?? 0) - markBytes >= progressBytes) setbacks = 0
      markBytes = session?.offset ?? 0
    }
  }
}

/** A registry that lost the session, or stands elsewhere in it than we thought, says 404 or 416. */
function isRecoverable(error: unknown): boolean {
  return isTransient(error) || (error instanceof UnexpectedStatus && (error.status === 404 || error.status === 416))
}

async function begin(upload: Upload): Promise<Session> {
  const { endpoint, place, scopes, task, what } = upload
  const reply = await endpoint.send({ what, method: 'POST', target: uploadsPath(place), scopes, expect: [202] }, task)
  await reply.discard()
  return { location: endpoint.ownLocation(reply), offset: 0 }
}

/** Sends all that is left in one request. */
async function append(upload: Upload, { location, offset }: Session): Promise<Session> {
  const { blob, endpoint, scopes, task, what } = upload
  const reply = await endpoint.send({
    what, method: 'PATCH', target: location, scopes, expect: [202], attempts: 1,
    headers: { 'content-type': 'application/octet-stream', 'content-range': `${offset}-${blob.size - 1}` },
    body: bodyFrom(upload, offset),
  }, task)
  await reply.discard()
  const received = receivedBytes(reply) ?? blob.size
  if (received <= Math.max(offset, 1)) throw new InvalidAnswer(what, reply.host, `took none of the bytes from ${offset} on`)
  return { location: endpoint.ownLocation(reply), offset: Math.min(received, blob.size) }
}

async function complete(upload: Upload, { location, offset }: Session): Promise<void> {
  const { blob, connections: { limits }, endpoint, scopes, task, what } = upload
  const isPart = offset > 0 && offset < blob.size
  const reply = await endpoint.send({
    what, method: 'PUT', target: withDigest(location, blob.digest), scopes, expect: [201], attempts: 1, answerMs: limits.commitMs,
    headers: { 'content-type': 'application/octet-stream', ...(isPart ? { 'content-range': `${offset}-${blob.size - 1}` } : {}) },
    body: bodyFrom(upload, offset),
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
async function inquire(upload: Upload, { location }: Session): Promise<Session | undefined> {
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

function bodyFrom({ blob, progress, source, task }: Upload, offset: number): RequestBody {
  return {
    sizeBytes: blob.size - offset,
    async *open() {
      if (offset === blob.size) return
      let position = 0
      for await (const chunk of source.read(blob, task)) {
        const end = position + chunk.byteLength
        if (end > offset) yield position >= offset ? chunk : chunk.subarray(offset - position)
        position = end
        if (position > offset) progress.advanced(Math.min(position, blob.size))
      }
    },
  }
}

/** Registries behind several machines may need a moment to see what one of them took. */
async function confirm(upload: Upload): Promise<void> {
  const { blob, connections: { limits }, place, task } = upload
  for (let attempt = 1; !(await isPresent(upload)); attempt += 1) {
    if (attempt >= limits.attempts) throw new BlobUnknown(blob.digest, place.host)
    await pause(backoff(attempt, limits), task.signal)
  }
}
