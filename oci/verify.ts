import type { Descriptor } from './descriptor.ts'
import { createDigester, digestAlgorithm } from './digest.ts'
import { DigestMismatch } from './errors.ts'

/**
 * Passes bytes on and fails unless they are exactly the descriptor's: at the first byte too many, or at the end when
 * size or digest differ. Whoever consumes it must not trust a byte before the iteration has ended without error.
 * @throws {DigestMismatch}
 */
export async function* verifyBytes(bytes: AsyncIterable<Uint8Array>, expected: Descriptor): AsyncGenerator<Uint8Array, void, undefined> {
  const digester = createDigester(digestAlgorithm(expected.digest))
  let sizeBytes = 0
  for await (const chunk of limitBytes(bytes, expected)) {
    sizeBytes += chunk.byteLength
    digester.update(chunk)
    yield chunk
  }
  const digest = digester.finish()
  if (sizeBytes !== expected.size || digest !== expected.digest) throw new DigestMismatch(expected, { digest, sizeBytes })
}

/** Passes bytes on and fails at the first one too many, for those who look at the digest themselves. @throws {DigestMismatch} */
export async function* limitBytes(bytes: AsyncIterable<Uint8Array>, expected: Descriptor): AsyncGenerator<Uint8Array, void, undefined> {
  let sizeBytes = 0
  for await (const chunk of bytes) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > expected.size) throw new DigestMismatch(expected, { digest: undefined, sizeBytes })
    yield chunk
  }
}
