import type { Task } from '../../core/task.ts'
import { createTask } from '../../core/task.ts'

export const task: Task<unknown> = createTask()

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Bytes as a stream, in pieces that fall on no border of anything. */
export async function* stream(bytes: Uint8Array, pieceBytes = 100_003): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
    await Promise.resolve()
    yield bytes.subarray(at, at + pieceBytes)
  }
}
