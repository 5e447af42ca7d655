import type { ImageConfig } from '../../oci/image-config.ts'
import type { Leak } from './leak.ts'
import { maskText } from './log-mask.ts'
import { scanBytes } from './scan-directory.ts'
import type { SecretPattern } from './secret-patterns.ts'

/** Searches all that an image says of itself: its configuration with environment and labels, and its history. */
export function scanConfig({ history = [], ...config }: ImageConfig, patterns: readonly SecretPattern[]): Leak[] {
  return [
    ...Object.entries(config).flatMap(([name, value]) => scanValue(`image config ${name}`, value, patterns)),
    ...history.flatMap((entry, index) => scanValue(`image history, entry ${index + 1}`, Object.values(entry), patterns)),
  ]
}

/** Every string in a value, names included. */
export function scanValue(place: string, value: unknown, patterns: readonly SecretPattern[]): Leak[] {
  if (typeof value === 'string') return scanBytes(withName(place, value, patterns), [Buffer.from(value)], patterns)
  if (Array.isArray(value)) return value.flatMap((item: unknown) => scanValue(place, item, patterns))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, item]: [string, unknown]) => {
    const inner = `${place} ${maskText(name, patterns)}`
    return [...scanBytes(`name in ${place}`, [Buffer.from(name)], patterns), ...scanValue(inner, item, patterns)]
  })
}

/** `Env TOKEN` says more than `Env`. */
function withName(place: string, value: string, patterns: readonly SecretPattern[]): string {
  const [, name] = /^([A-Za-z_]\w*)=/u.exec(value) ?? []
  return name === undefined || !/ env$/iu.test(place) ? place : `${place} ${maskText(name, patterns)}`
}
