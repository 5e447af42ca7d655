import { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { OutputEvent } from './container-events.ts'

export interface OutputReader {
  /** To be called when the container has ended: settles when all that it wrote has been emitted. */
  finish(): Promise<void>
}

/** Emits what comes through the reading end of a pipe, which is closed at the end. */
export function readOutput(fd: number, stream: OutputEvent['stream'], emit: (event: OutputEvent) => void): OutputReader {
  const socket = new Socket({ fd, readable: true, writable: false })
  let failure: Error | undefined
  socket.on('error', (error) => { failure = error })
  socket.on('data', (bytes: Uint8Array) => { emit({ type: 'container-output', stream, bytes }) })
  return {
    async finish() {
      /* A process outside may have been handed the writing end: what the pipe holds by now is all that is waited for. */
      for (let seen = -1; !socket.closed && seen !== socket.bytesRead;) {
        seen = socket.bytesRead
        await setImmediate()
        await setImmediate()
      }
      socket.destroy()
      if (failure !== undefined) throw failure
    },
  }
}
