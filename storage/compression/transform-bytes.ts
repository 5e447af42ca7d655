import type { Transform } from 'node:stream'

/**
 * Passes bytes through one of zlib's engines, on the threads it runs on. What the engine did not take, because its
 * stream ended before the bytes did, is told by `engine.bytesWritten`.
 * @returns how many bytes came, at least one more than it took if it left any
 */
export async function* transformBytes(engine: Transform, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, number, undefined> {
  const feeding = feed(engine, bytes)
  try {
    for await (const chunk of engine) yield chunk as Uint8Array
  } finally {
    engine.destroy()
  }
  const fed = await feeding
  if ('error' in fed) throw fed.error
  return fed.bytes
}

/** Never rejects: a failing source destroys the engine with its error, which the reading side then throws. */
async function feed(engine: Transform, bytes: AsyncIterable<Uint8Array>): Promise<{ readonly bytes: number } | { readonly error: unknown }> {
  const closed = new Promise<void>((resolve) => engine.once('close', resolve))
  let total = 0
  try {
    for await (const chunk of bytes) {
      total += chunk.byteLength
      if (engine.destroyed || engine.readableEnded) break
      if (!engine.write(chunk)) await Promise.race([new Promise<void>((resolve) => engine.once('drain', resolve)), closed])
    }
    if (!engine.destroyed) engine.end()
    return { bytes: total }
  } catch (error) {
    engine.destroy(error instanceof Error ? error : new TypeError('a byte stream failed with no error', { cause: error }))
    return { error }
  }
}
