import type { Readable } from 'node:stream'
import { makeSpendable } from '../../oci/spent-bytes.ts'
import type { Limits } from './limits.ts'

export interface BodyWatch {
  readonly limits: Limits
  readonly signal: AbortSignal
  /** Makes an error of what stopped the stream. */
  failed(error: unknown): Error
  /** Makes an error of a stream that gave too little for so long. */
  stalled(ms: number): Error
  /** Called once nothing more will be read. */
  finish(): void
}

/**
 * The bytes of a stream, which is closed if they are not read to the end. Only the time spent waiting for the other
 * side counts against it, not the time the reader takes.
 */
export async function* readWatched(stream: Readable, watch: BodyWatch): AsyncGenerator<Uint8Array, void, undefined> {
  const { idleMs, minBytesPerSecond } = watch.limits
  const iterator: AsyncIterator<Uint8Array> = stream[Symbol.asyncIterator]()
  let waitedMs = 0
  let receivedBytes = 0
  const abort = (): void => { stream.destroy(toError(watch.signal.reason)) }
  watch.signal.addEventListener('abort', abort, { once: true })
  try {
    for (;;) {
      watch.signal.throwIfAborted()
      const startedMs = performance.now()
      const timer = setTimeout(() => { stream.destroy(watch.stalled(idleMs)) }, idleMs)
      const next = await iterator.next().finally(() => { clearTimeout(timer) })
      if (next.done === true) return
      waitedMs += performance.now() - startedMs
      receivedBytes += next.value.byteLength
      if (waitedMs > idleMs) {
        if (receivedBytes < minBytesPerSecond * waitedMs / 1000) throw watch.stalled(waitedMs)
        waitedMs = 0
        receivedBytes = 0
      }
      makeSpendable(next.value)
      yield next.value
    }
  } catch (error) {
    watch.signal.throwIfAborted()
    throw watch.failed(error)
  } finally {
    watch.signal.removeEventListener('abort', abort)
    stream.destroy()
    watch.finish()
  }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted')
}
