import type { Reader } from '../native/index.ts'
import { getAddon } from '../native/index.ts'
import type { OutputEvent } from './container-events.ts'

export interface OutputReader {
  /** To be called when the container has ended: all that it wrote has been emitted afterwards. */
  finish(): void
}

/** Emits what comes through the reading end of a pipe, which is closed at the end. */
export function readOutput(fd: number, stream: OutputEvent['stream'], emit: (event: OutputEvent) => void): OutputReader {
  const addon = getAddon()
  let failure: Error | undefined
  const reader: Reader = addon.openReader(fd, (bytes, error) => {
    failure = error
    if (bytes !== undefined) emit({ type: 'container-output', stream, bytes })
  })
  return {
    finish() {
      /* A process outside may have been handed the writing end: what the pipe holds by now is all that is waited for. */
      const bytes = addon.closeReader(reader)
      if (bytes !== undefined) emit({ type: 'container-output', stream, bytes })
      if (failure !== undefined) throw failure
    },
  }
}
