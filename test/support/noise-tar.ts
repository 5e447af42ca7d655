import { createHash } from 'node:crypto'
import { archive, directory, file } from './tar-forge.ts'

/** A tar of some hundred kilobytes that does not compress, the same for the same seed. */
export function noiseTar(seed: string): Buffer {
  const lines = Array.from({ length: 12_000 }, (_, index) => createHash('sha256').update(`${seed} ${index}`).digest('base64'))
  return archive(directory('d'), file('d/noise', lines.join('\n')))
}
