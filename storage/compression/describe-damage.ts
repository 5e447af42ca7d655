import { MalformedCompression } from './errors.ts'

/** zlib's own errors become ours; others, such as those of the source, pass. */
export async function* describing<Result>(compression: 'gzip' | 'zstd', bytes: AsyncGenerator<Uint8Array, Result, undefined>): AsyncGenerator<Uint8Array, Result, undefined> {
  try {
    return yield* bytes
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string' && /^(?:Z_|ZSTD_)/u.test(error.code)) {
      throw new MalformedCompression(compression, 'it is damaged or truncated', { cause: error })
    }
    throw error
  }
}
