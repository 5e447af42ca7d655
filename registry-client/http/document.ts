import { InvalidAnswer } from '../errors.ts'
import { stalled } from './failure.ts'
import type { HttpAnswer } from './message.ts'

export interface DocumentBounds {
  /** What is being done, for the error message. */
  readonly what: string
  readonly host: string
  readonly maxBytes: number
  readonly withinMs: number
}

/**
 * A whole small body, no longer than `maxBytes` and read within `withinMs`.
 * @throws {InvalidAnswer} @throws {RegistryUnreachable}
 */
export async function readDocument(answer: HttpAnswer, { what, host, maxBytes, withinMs }: DocumentBounds): Promise<Buffer> {
  await refuseEncoding(answer, what, host)
  const endsAtMs = performance.now() + withinMs
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of answer.body) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > maxBytes) throw new InvalidAnswer(what, host, `sent more than ${maxBytes} bytes`)
    if (performance.now() > endsAtMs) throw stalled(host, 'its answer did not end', withinMs)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Digests are over the bytes as stored; a body in another coding than the one asked for is not those bytes. Discards what it refuses. */
export async function refuseEncoding(answer: HttpAnswer, what: string, host: string): Promise<void> {
  const encoding = answer.header('content-encoding')?.trim().toLowerCase()
  if (encoding === undefined || encoding === '' || encoding === 'identity') return
  await answer.discard()
  throw new InvalidAnswer(what, host, `sent the body in content coding ${JSON.stringify(encoding.slice(0, 40))} although none was asked for`)
}
