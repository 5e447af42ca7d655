import type { Writable } from 'node:stream'
import { SourceMismatch } from '../errors.ts'
import type { RequestBody } from './message.ts'

const maxWriteBytes = 64 * 1024

export interface SendWatch {
  /** Called before and after each wait for the other side to take more. */
  waiting(): void
  resumed(): void
  /** Whether the answer is there already, so that nobody reads the rest. */
  isAnswered(): boolean
}

/**
 * Writes the body at the speed it is taken and ends the request. Returns early when the answer comes early or the
 * connection breaks; what it throws is the source's failure.
 * @throws {SourceMismatch}
 */
export async function sendBody(outgoing: Writable, body: RequestBody | undefined, watch: SendWatch): Promise<void> {
  if (body !== undefined) {
    let sentBytes = 0
    for await (const chunk of slice(body.open())) {
      if (outgoing.destroyed || watch.isAnswered()) return
      sentBytes += chunk.byteLength
      if (sentBytes > body.sizeBytes) break
      if (!outgoing.write(chunk)) {
        watch.waiting()
        await drained(outgoing)
        watch.resumed()
      }
    }
    if (outgoing.destroyed || watch.isAnswered()) return
    if (sentBytes !== body.sizeBytes) throw new SourceMismatch('upload', { expectedBytes: body.sizeBytes, actualBytes: sentBytes })
  }
  outgoing.end()
}

/**
 * Whether the other side still takes anything shows only when a write is done, so writes are small enough to be done in
 * time over a slow line.
 */
async function* slice(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) {
    for (let start = 0; start < chunk.byteLength; start += maxWriteBytes) yield chunk.subarray(start, start + maxWriteBytes)
  }
}

const wakingEvents = ['drain', 'response', 'close', 'error'] as const

function drained(outgoing: Writable): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      for (const event of wakingEvents) outgoing.off(event, wake)
      resolve()
    }
    for (const event of wakingEvents) outgoing.on(event, wake)
  })
}
