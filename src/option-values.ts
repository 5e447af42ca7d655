import { hostPlatform, parsePlatform } from '../oci/platform.ts'
import type { Platform } from '../oci/platform.ts'
import type { OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { parseBytes } from './render/format.ts'

/** A whole number from 1 on. @throws {UsageError} */
export function parsePositive(options: OptionValues, name: string): number | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,9}$/u.test(text)) throw new UsageError(`option --${name} takes a whole number from 1 on, not "${text}"`)
  return Number(text)
}

/** A size such as `512m`. @throws {UsageError} */
export function parseSize(options: OptionValues, name: string): number | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  const bytes = parseBytes(text)
  if (bytes === undefined) throw new UsageError(`option --${name} takes a size such as 512m or 2g, not "${text}"`)
  return bytes
}

/** A number of processors, `1.5`. @throws {UsageError} */
export function parseCpus(options: OptionValues, name: string): number | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  const cpus = /^(?:\d+(?:\.\d*)?|\.\d+)$/u.test(text) ? Number(text) : 0
  if (cpus < 0.01) throw new UsageError(`option --${name} takes a number of processors from 0.01 on, not "${text}"`)
  return cpus
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A duration such as `90s` or `1h30m`, in milliseconds. @throws {UsageError} */
export function parseDuration(options: OptionValues, name: string): number | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  const parts = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/u.test(text) ? [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/gu)] : []
  const total = parts.reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (unitMs[unit] ?? 0), 0)
  if (total <= 0) throw new UsageError(`option --${name} takes a duration such as 90s or 1h30m, not "${text}"`)
  return total
}

/** One of the words given. @throws {UsageError} */
export function parseChoice<Word extends string>(options: OptionValues, name: string, words: readonly Word[]): Word | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  const word = words.find((known) => known === text)
  if (word === undefined) throw new UsageError(`option --${name} takes ${words.join(', ')}, not "${text}"`)
  return word
}

/** undefined where none was asked for, which is this machine's then. */
export function askedPlatform(options: OptionValues): Platform | undefined {
  return options.has('platform') ? platformOption(options) : undefined
}

export function platformOption(options: OptionValues): Platform {
  const text = options.text('platform')
  return text === undefined ? hostPlatform(process.arch) : readPlatform(text)
}

/** `linux/amd64,linux/arm64`, or the option more than once; none is this machine's. */
export function platformsOption(options: OptionValues): Platform[] {
  return options.texts('platform').flatMap((text) => text.split(',')).map((text) => readPlatform(text.trim()))
}

/** `local` is what buildx calls this machine's. */
function readPlatform(text: string): Platform {
  const host = hostPlatform(process.arch)
  return text === 'local' ? host : parsePlatform(text, host)
}
