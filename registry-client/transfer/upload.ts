import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { BlobSource, TransferEvent } from '../client.ts'
import { findRule } from '../config/registries.ts'
import { AccessDenied, BlobUnknown, ForbiddenTarget, InvalidAnswer, UnexpectedStatus } from '../errors.ts'
import { backoff, isTransient, pause, waitBefore } from '../http/retry.ts'
import { repositoryScope } from '../http/scope.ts'
import type { Reference } from '../reference.ts'
import type { Connections } from './connections.ts'
import type { Place } from './places.ts'
import { pullPlaces, pushPlace } from './places.ts'
import { createProgress } from './progress.ts'
import { createSourceReader } from './source-reader.ts'
import type { Route, Session, Upload } from './upload-session.ts'
import { append, begin, complete, inquire, openSession, uploadsPath } from './upload-session.ts'

/** What is left below this goes with the request that completes the upload, which spares one. */
const smallBytes = 1024 * 1024
/** So much more than before a cut is progress, after which patience starts anew. */
const progressBytes = 1024 * 1024

/**
 * Makes the blob be in the repository: it may be there, be mounted from another repository of the registry, or be
 * uploaded. A cut upload goes on where the registry says it stands, also one that another process left; one the registry
 * has lost begins anew. At the end the registry is asked whether it has the blob.
 * @see distribution-spec "Pushing blobs"
 */
export async function pushBlob(connections: Connections, { repository, blob, source }: { repository: Reference; blob: Descriptor; source: BlobSource }, task: Task<TransferEvent>): Promise<void> {
  const place = pushPlace(repository, connections.registries)
  await using reader = createSourceReader(source, blob, silent(task))
  const upload = openUpload({ connections, place, reader }, blob, task)
  upload.progress.finished(await bring(upload, source))
}

export function openUpload(to: Pick<Route, 'connections' | 'place' | 'reader'>, blob: Descriptor, task: Task<TransferEvent>): Upload {
  const progress = createProgress('push', blob, task.emit)
  return { ...openRoute(to, task), blob, progress, what: `push blob "${blob.digest}"`, advanced: (doneBytes) => { progress.advanced(doneBytes) } }
}

export function openRoute({ connections, place, reader }: Pick<Route, 'connections' | 'place' | 'reader'>, task: Task): Route {
  return {
    connections, place, reader,
    endpoint: connections.endpoint(place),
    what: `push a blob to "${place.host}/${place.repository}"`,
    scopes: [repositoryScope(place.repository, 'pull', 'push')],
    task: silent(task),
    advanced: () => undefined,
  }
}

/** So much is worth asking first whether the registry has it. */
const askBytes = 8 * 1024 * 1024

/** Goes on with a blob of which some was sent while nobody knew what it would be. */
export async function bringRest(upload: Upload, session: Session): Promise<'present' | 'transferred'> {
  if (upload.blob.size - session.offset > askBytes && await isPresent(upload)) return 'present'
  if (hasMoreThanEnd(upload, session)) await note(upload, session)
  await transfer(upload, session)
  await confirm(upload)
  return 'transferred'
}

export async function bring(upload: Upload, source: Pick<BlobSource, 'origins'>): Promise<'present' | 'mounted' | 'transferred'> {
  if (await isPresent(upload)) return 'present'
  const left = await findLeft(upload)
  const begun = left ?? await mount(upload, source)
  if (begun === 'mounted') return 'mounted'
  await transfer(upload, begun)
  await confirm(upload)
  return 'transferred'
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

/** What a process that is gone has uploaded, if the registry still has that. */
async function findLeft(upload: Upload): Promise<Session | undefined> {
  const saved = await upload.connections.journal.find(journalKey(upload))
  const location = saved === undefined ? null : URL.parse(saved.location)
  return location === null ? undefined : findSession(upload, { location })
}

/** The session as the registry knows it; undefined when there is nothing to go on from. */
export async function findSession(upload: Upload, session: Pick<Session, 'location'>): Promise<Session | undefined> {
  try {
    return await inquire(upload, session)
  } catch (error) {
    // The registry's address was another then, or it answers as it should not: nothing to go on from.
    if (error instanceof ForbiddenTarget || error instanceof UnexpectedStatus) return undefined
    throw error
  }
}

function journalKey({ blob, place }: Upload): string {
  return `${place.host}/${place.repository} ${blob.digest}`
}

/** The session is the registry's answer when it does not mount; undefined when there is nothing to mount from. */
async function mount(upload: Upload, source: Pick<BlobSource, 'origins'>): Promise<'mounted' | Session | undefined> {
  const { blob, endpoint, place, scopes, task, what } = upload
  for (const origin of mountableFrom(upload, source).slice(0, maxMountTries)) {
    const query = `mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(origin.repository)}`
    try {
      const reply = await endpoint.send({
        what, method: 'POST', target: `${uploadsPath(place)}?${query}`, expect: [201, 202],
        scopes: [...scopes, repositoryScope(origin.repository, 'pull')],
      }, task)
      await reply.discard()
      return reply.status === 201 ? 'mounted' : openSession(upload, reply)
    } catch (error) {
      // Mounting only saves time: a registry that cannot or will not gets the bytes.
      if (!(error instanceof AccessDenied || (error instanceof UnexpectedStatus && error.status < 500))) throw error
    }
  }
  return undefined
}

const maxMountTries = 2

/** Repositories of this registry that the blob came from: what was read by another name may have come from here, as a mirror. */
function mountableFrom({ blob, connections: { registries }, place }: Upload, source: Pick<BlobSource, 'origins'>): Place[] {
  const places = source.origins?.(blob).filter((origin) => findRule(origin, registries)?.rule.isBlocked !== true).flatMap((origin) => pullPlaces(origin, registries, 'blob')) ?? []
  const here = places.filter(({ host, repository }) => host === place.host && repository !== place.repository)
  return [...new Map(here.map((origin) => [origin.repository, origin])).values()]
}

async function transfer(upload: Upload, begun: Session | undefined): Promise<void> {
  let session = begun
  const patience: Patience = { setbacks: 0, markBytes: 0, isResumed: (begun?.offset ?? 0) > 0 }
  for (;;) {
    try {
      session ??= await begin(upload)
      while (hasMoreThanEnd(upload, session)) session = await appendPiece(upload, session)
      await complete(upload, session)
      await upload.connections.journal.forget(journalKey(upload))
      return
    } catch (error) {
      upload.task.signal.throwIfAborted()
      const adapted = adapt(upload, session, error)
      if (adapted === undefined) await endure(upload, patience, error)
      if (await isPresent(upload)) return
      session = session === undefined || adapted === 'anew' || isWrongDigest(error) ? undefined : await inquire(upload, session)
      patience.isResumed = session !== undefined
      const reachedBytes = session?.offset ?? 0
      if (reachedBytes - patience.markBytes >= progressBytes) patience.setbacks = 0
      patience.markBytes = Math.max(patience.markBytes, reachedBytes)
    }
  }
}

interface Patience {
  setbacks: number
  /** The furthest it has come; going the same way again is no progress. */
  markBytes: number
  /** Whether the session was gone on with, so that the registry may have counted wrong. */
  isResumed: boolean
}

/** Waits before the next try, or gives up. */
async function endure({ connections: { limits }, task }: Upload, patience: Patience, error: unknown): Promise<void> {
  patience.setbacks += 1
  const isWorthwhile = isRecoverable(error) || (patience.isResumed && isWrongDigest(error))
  const waitMs = isWorthwhile ? waitBefore(patience.setbacks, error, limits) : undefined
  if (waitMs === undefined || patience.setbacks >= limits.attempts) throw error
  await pause(waitMs, task.signal)
}

/** Whether what is left is more than the request that completes the upload should carry. */
function hasMoreThanEnd({ blob, connections, place }: Upload, { offset }: Session): boolean {
  const chunkBytes = connections.chunkSizes.of(place.host)
  return chunkBytes !== undefined && blob.size - offset > Math.min(smallBytes, chunkBytes)
}

async function appendPiece(upload: Upload, session: Session): Promise<Session> {
  const { blob, connections, place } = upload
  const remaining = blob.size - session.offset
  const length = Math.min(remaining, connections.chunkSizes.of(place.host) ?? remaining)
  const next = await append(upload, session, length)
  // A blob of one piece is sent again as quickly as it is gone on with.
  if (blob.size > length) await note(upload, next)
  return next
}

/** So that another process can go on. */
async function note(upload: Upload, { location, offset }: Session): Promise<void> {
  await upload.connections.journal.keep(journalKey(upload), { location: location.href, offset })
}

/** Chooses another way of sending, smaller pieces or none, if the refusal is one that this may get around. */
function adapt({ blob, connections: { chunkSizes }, place }: Upload, session: Session | undefined, error: unknown): 'go on' | 'anew' | undefined {
  if (!(error instanceof UnexpectedStatus)) return undefined
  const sentBytes = Math.min(blob.size - (session?.offset ?? 0), chunkSizes.of(place.host) ?? Infinity)
  if (error.status === 413) return chunkSizes.shrink(place.host, sentBytes) ? 'go on' : undefined
  // Some take no piece, and some take one only.
  const isSecondPiece = error.status === 400 && (session?.offset ?? 0) > 0 && !isWrongDigest(error)
  return (error.status === 405 || error.status === 501 || isSecondPiece) && chunkSizes.useWhole(place.host) ? 'anew' : undefined
}

/** A registry that lost the session, or stands elsewhere in it than we thought, says 404 or 416. */
function isRecoverable(error: unknown): boolean {
  return isTransient(error) || (error instanceof UnexpectedStatus && (error.status === 404 || error.status === 416))
}

function isWrongDigest(error: unknown): boolean {
  return error instanceof UnexpectedStatus && error.registryCodes.includes('DIGEST_INVALID')
}

/** Registries behind several machines may need a moment to see what one of them took. */
async function confirm(upload: Upload): Promise<void> {
  const { blob, connections: { limits }, place, task } = upload
  for (let attempt = 1; !(await isPresent(upload)); attempt += 1) {
    if (attempt >= limits.attempts) throw new BlobUnknown(blob.digest, place.host)
    await pause(backoff(attempt, limits), task.signal)
  }
}
