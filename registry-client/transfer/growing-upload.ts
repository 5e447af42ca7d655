import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { GrowingBlob, TransferEvent } from '../client.ts'
import { UnexpectedStatus } from '../errors.ts'
import { isTransient } from '../http/retry.ts'
import type { Reference } from '../reference.ts'
import type { Connections } from './connections.ts'
import { pushPlace } from './places.ts'
import { bring, bringRest, findSession, openRoute, openUpload } from './upload.ts'
import type { Route, Session } from './upload-session.ts'
import { append, begin } from './upload-session.ts'

/** Fewer are not sent ahead: each request costs a turn, and a blob that small is asked for first. */
const leastBytes = 4 * 1024 * 1024

/**
 * Sends what there is of a blob as it grows, and the rest when its digest is known. What fails ahead of that is no
 * failure yet: the registry is asked where it stands, and from there on the upload is like any other.
 */
export async function pushGrowing(connections: Connections, { repository, growing }: { repository: Reference; growing: GrowingBlob }, task: Task<TransferEvent>): Promise<Descriptor> {
  const place = pushPlace(repository, connections.registries)
  const reader: Route['reader'] = { piece: (fromByte, length) => growing.read(fromByte, length) }
  const ahead = await sendAhead(openRoute({ connections, place, reader }, task), growing)
  const upload = openUpload({ connections, place, reader }, ahead.blob, task)
  const session = ahead.isBroken && ahead.session !== undefined ? await findSession(upload, ahead.session) : ahead.session
  upload.progress.finished(await (session === undefined ? bring(upload, {}) : bringRest(upload, session)))
  return ahead.blob
}

interface Ahead {
  readonly blob: Descriptor
  readonly session: Session | undefined
  readonly isBroken: boolean
}

async function sendAhead(route: Route, growing: GrowingBlob): Promise<Ahead> {
  const { connections: { chunkSizes }, place, task } = route
  let session: Session | undefined
  let isBroken = false
  for (;;) {
    const offset = session?.offset ?? 0
    const chunkBytes = isBroken ? undefined : chunkSizes.of(place.host)
    const enough = chunkBytes === undefined ? Infinity : Math.max(Math.min(leastBytes, chunkBytes), chunkSizes.least(place.host))
    const { sizeBytes, blob } = await growing.more(offset + enough - 1)
    if (blob !== undefined) return { blob, session, isBroken }
    try {
      // How small pieces may be is told by the answer.
      session = session === undefined ? await begin(route) : await append(route, session, Math.min(sizeBytes - offset, chunkBytes ?? 0))
    } catch (error) {
      task.signal.throwIfAborted()
      if (!(error instanceof UnexpectedStatus || isTransient(error))) throw error
      isBroken = true
    }
  }
}
