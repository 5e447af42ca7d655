import { createReadStream } from 'node:fs'
import type { Task } from '../../core/task.ts'

const pieceBytes = 1024 * 1024

/** The bytes of a file of the store. */
export async function* readFilePieces(path: string, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
  const stream: AsyncIterable<Uint8Array> = createReadStream(path, { highWaterMark: pieceBytes, signal: task.signal })
  yield* stream
}
