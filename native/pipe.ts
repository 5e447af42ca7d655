import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { isErrno } from '../core/errors.ts'
import { getAddon } from './addon.ts'

/** Bytes that come through a pipe or lie in a file, for whoever reads the descriptor; disposing of them closes it and stops their source. */
export interface PipedBytes extends AsyncDisposable {
  readonly fd: number
  /** To be called when all was read. Fails if the source did. */
  ended(): Promise<void>
}

/** Bytes of this process for somebody who wants a descriptor. */
export function pipeBytes(bytes: AsyncIterable<Uint8Array>): PipedBytes {
  const [fd, writeFd] = getAddon().pipe(pipeCapacity)
  const fed = writePipe(writeFd, bytes)
  // Whoever asks for the end is told.
  fed.catch(() => undefined)
  return {
    fd,
    ended: () => fed,
    [Symbol.asyncDispose]: async () => {
      closeSync(fd)
      await Promise.allSettled([fed])
    },
  }
}

const pipeCapacity = 1024 * 1024

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
