import { Socket } from 'node:net'
import { isErrno } from '../core/errors.ts'
import { getAddon } from './addon.ts'

/** Reads a pipe to its end and closes it, also when it fails. */
export type PipeReader = (readFd: number) => Promise<void>

const pipeCapacity = 1024 * 1024

/** Has the bytes read by somebody else. Fails as the reader or the source did. */
export async function pourBytes(bytes: AsyncIterable<Uint8Array>, read: PipeReader): Promise<void> {
  const [readFd, writeFd] = getAddon().pipe(pipeCapacity)
  const fed = writePipe(writeFd, bytes)
  const outcomes = await Promise.allSettled([fed, read(readFd)])
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}

/** What comes through the reading end of a pipe, which is closed at the end and when the consumer stops. */
export async function* readPipe(fd: number): AsyncGenerator<Uint8Array, void, undefined> {
  const socket = new Socket({ fd, readable: true, writable: false })
  for await (const chunk of socket) yield chunk as Uint8Array
}

/**
 * Sends everything through the writing end of a pipe and closes it. Returns early, and lets the rest be, when nobody
 * reads any more: the reader's own end says why.
 */
export async function writePipe(fd: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const socket = new Socket({ fd, readable: false, writable: true })
  const failures: Error[] = []
  socket.on('error', (error) => { failures.push(error) })
  const closed = new Promise<void>((resolve) => socket.once('close', resolve))
  try {
    for await (const chunk of chunks) {
      if (socket.destroyed) break
      if (!socket.write(chunk)) await Promise.race([new Promise<void>((resolve) => socket.once('drain', resolve)), closed])
    }
    socket.end()
  } catch (error) {
    socket.destroy()
    throw error
  }
  await closed
  const [failure] = failures
  if (failure !== undefined && !isErrno(failure, 'EPIPE')) throw failure
}
