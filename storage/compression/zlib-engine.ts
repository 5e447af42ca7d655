import { promisify } from 'node:util'
import { constants, createGunzip, deflateRaw } from 'node:zlib'
import { MalformedCompression } from '../errors.ts'
import { describing } from './describe-damage.ts'
import type { GzipEngine } from './gzip-engine.ts'
import { transformBytes } from './transform-bytes.ts'

const chunkSize = 256 * 1024
const deflateOnThread = promisify<Uint8Array, object, Buffer>(deflateRaw)

/** Node's zlib, which every machine has. */
export function zlibEngine(level: number): GzipEngine {
  return {
    name: 'zlib',
    deflateBlock: (block, previous) => deflateOnThread(block, {
      level,
      finishFlush: constants.Z_SYNC_FLUSH,
      ...(previous.byteLength === 0 ? {} : { dictionary: previous }),
    }),
    inflate,
  }
}

async function* inflate(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const engine = createGunzip({ chunkSize })
  const given = yield* describing('gzip', transformBytes(engine, bytes))
  if (engine.bytesWritten !== given) throw new MalformedCompression('gzip', `${given - engine.bytesWritten} bytes follow it`)
}
