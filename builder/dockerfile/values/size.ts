import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'

const powers: ReadonlyMap<string, number> = new Map([['', 0], ['k', 1], ['m', 2], ['g', 3], ['t', 4], ['p', 5]])

/**
 * A size as Docker takes it, `512m`, `1.5g`, `64KiB` or bytes, in bytes. Units are powers of 1024.
 * @throws {DockerfileError}
 */
export function parseSize(text: string, place: Place): number {
  const match = text.length > 40 ? null : /^(\d+(?:\.\d*)?|\.\d+) ?(?:([kmgtp])(?:i?b)?|b)?$/iu.exec(text)
  const bytes = Math.floor(Number(match?.[1]) * 1024 ** (powers.get(match?.[2]?.toLowerCase() ?? '') ?? 0))
  if (Number.isSafeInteger(bytes)) return bytes
  throw new DockerfileError(place, { rule: 'number', problem: `${quote(text)} is no size`, remedy: 'write it as 512m, 2g or a number of bytes' })
}
