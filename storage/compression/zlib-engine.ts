import { createGunzip } from 'node:zlib'
import { MalformedCompression } from './errors.ts'
import { describing } from './describe-damage.ts'
import type { GzipEngine } from './gzip-engine.ts'
import { transformBytes } from './transform-bytes.ts'

const chunkSize = 256 * 1024

/** Node's zlib, which every machine has. */
export const zlibEngine: GzipEngine = { name: 'zlib', usualLevel: 6, inflate }

async function* inflate(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const engine = createGunzip({ chunkSize })
  const given = yield* describing('gzip', transformBytes(engine, bytes))
  if (engine.bytesWritten !== given) throw new MalformedCompression('gzip', `${given - engine.bytesWritten} bytes follow it`)
}
