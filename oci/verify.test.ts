import { describe, expect, it } from 'vitest'
import { sha256 } from './digest.ts'
import { verifyBytes } from './verify.ts'

const hello = new TextEncoder().encode('hello')
const expected = { mediaType: 'text/plain', digest: sha256('hello'), size: 5 }

async function* pieces(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await Promise.resolve()
    yield chunk
  }
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe('verifyBytes', () => {
  it('passes the right bytes on', async () => {
    await expect(collect(verifyBytes(pieces(hello.subarray(0, 2), hello.subarray(2)), expected))).resolves.toBe('hello')
  })

  it.each([
    ['too few bytes', [hello.subarray(0, 4)], { sizeBytes: 4 }],
    ['other bytes', [new TextEncoder().encode('hullo')], { sizeBytes: 5 }],
    ['no bytes', [], { sizeBytes: 0 }],
    ['too many bytes, without reading on', [hello, hello, hello], { digest: undefined, sizeBytes: 10 }],
  ])('fails for %s', async (_, chunks, actual) => {
    await expect(collect(verifyBytes(pieces(...chunks), expected))).rejects.toMatchObject({ code: 'OCI_DIGEST_MISMATCH', actual, expected })
  })
})
