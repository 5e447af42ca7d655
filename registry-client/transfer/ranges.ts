import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'

export interface RangeReading {
  readonly blob: Descriptor
  readonly fromByte: number
  /** The bytes from `first` up to and including `last`, complete or failed. */
  readonly read: (range: ByteRange, task: Task) => Promise<Uint8Array[]>
}

export interface ByteRange { readonly first: number; readonly last: number }

/** Small enough that those underway fit into memory, several blobs at a time. */
export const rangeBytes: number = 4 * 1024 * 1024
const rangesAtOnce = 4

/**
 * What is left of a blob, several ranges at a time and given in order. The first failure ends it, once what was asked for
 * before has been given; the others are stopped.
 */
export async function* readRanges({ blob, fromByte, read }: RangeReading, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
  const stop = new AbortController()
  const signal = AbortSignal.any([task.signal, stop.signal])
  const underway: Promise<Uint8Array[]>[] = []
  let next = fromByte
  const start = (): void => {
    const last = Math.min(next + rangeBytes, blob.size) - 1
    const fetching = read({ first: next, last }, { signal, emit: task.emit })
    // It is awaited in its turn; until then a failure is not unhandled.
    fetching.catch(() => undefined)
    underway.push(fetching)
    next = last + 1
  }
  try {
    while (next < blob.size || underway.length > 0) {
      while (underway.length < rangesAtOnce && next < blob.size) start()
      yield* await underway.shift() ?? []
    }
  } finally {
    stop.abort(new Error('not needed any more'))
    await Promise.allSettled(underway)
  }
}

/** Tells from how a blob comes whether several connections would bring it sooner. */
export interface Pace {
  /** More is wanted from here on: what the reader does with it in between does not count. */
  waiting(): void
  received(bytes: number): void
  isSlow(): boolean
}

/** It takes so long to be sure of a rate. */
const observedMs = 1_000
/** Faster than this the line is as good as full. */
const slowBytesPerSecond = 24 * 1024 * 1024

export function createPace(): Pace {
  let sinceMs = performance.now()
  let waitedMs = 0
  let receivedBytes = 0
  let isSlow = false
  return {
    waiting: () => { sinceMs = performance.now() },
    received: (bytes) => {
      waitedMs += performance.now() - sinceMs
      receivedBytes += bytes
      if (waitedMs < observedMs) return
      isSlow = receivedBytes / waitedMs * 1000 < slowBytesPerSecond
      waitedMs = 0
      receivedBytes = 0
    },
    isSlow: () => isSlow,
  }
}
