import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'
import { findNearest } from '../../../core/nearest.ts'

const nanosecondsPerUnit: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n], ['us', 1000n], ['µs', 1000n], ['μs', 1000n], ['ms', 1_000_000n], ['s', 1_000_000_000n], ['m', 60_000_000_000n], ['h', 3_600_000_000_000n],
])
const longest = 2n ** 63n - 1n

/**
 * A duration in Go's form, `1h30m`, `1.5s`, `-5ms` or `0`, in nanoseconds.
 * @throws {DockerfileError}
 */
export function parseDuration(text: string, place: Place): number {
  const match = text.length > 100 ? null : /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)[^\d.]+)+$/u.exec(text)
  if (/^[+-]?0$/u.test(text)) return 0
  if (match === null) {
    const remedy = /^[+-]?[\d.]+$/u.test(text) ? `add a unit: ${text}s` : 'write it as 30s, 1m30s or 500ms'
    throw new DockerfileError(place, { rule: 'duration', problem: `${quote(text)} is no duration`, remedy })
  }
  let total = 0n
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(/(\d*)(?:\.(\d*))?([^\d.+-]+)/gu)) {
    const scale = nanosecondsPerUnit.get(unit)
    if (scale === undefined) {
      throw new DockerfileError(place, { rule: 'duration', problem: `${quote(text)} has the unknown unit ${quote(unit)}`, remedy: 'units are ns, us, ms, s, m and h', suggestion: findNearest(unit, nanosecondsPerUnit.keys()) })
    }
    const digits = fraction.slice(0, 18)
    total += BigInt(whole === '' ? '0' : whole) * scale + BigInt(digits === '' ? '0' : digits) * scale / 10n ** BigInt(digits.length)
  }
  if (total > longest) throw new DockerfileError(place, { rule: 'duration', problem: `${quote(text)} is longer than the 292 years a duration can have` })
  return Number(match[1] === '-' ? -total : total)
}
