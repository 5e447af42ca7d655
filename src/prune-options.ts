import { formatFamiliar, parseReference } from '../registry-client/index.ts'
import type { Amount, Budgets, PruneFilters, PrunePolicy } from '../storage/index.ts'
import type { CommandInput, OptionSpec } from './command.ts'
import { UsageError } from './errors.ts'
import { parseBytes } from './render/format.ts'

/** What a policy says, before it is read: of the command line, or of the configuration file. */
export interface PolicyTexts {
  readonly what: PrunePolicy['what']
  readonly filter: readonly string[]
  readonly 'keep-last': string | undefined
  readonly 'max-bytes': string | undefined
  readonly 'max-inodes': string | undefined
  readonly 'min-free-bytes': string | undefined
  readonly 'min-free-inodes': string | undefined
}

export const policyKeys = ['keep-last', 'max-bytes', 'max-inodes', 'min-free-bytes', 'min-free-inodes'] as const

export const policyOptions: readonly OptionSpec[] = [
  { name: 'filter', value: 'KEY=VALUE', isRepeatable: true, help: 'Only what was made, or for caches used, before until=48h, has label=NAME[=VALUE] (label!=… has it not), is called reference=GLOB, is dangling=true|false, is of type=image|cache|mount' },
  { name: 'keep-last', value: 'N', help: 'Leave the N newest images of each repository' },
  { name: 'max-bytes', value: 'SIZE', help: 'Remove the least recently used until images, cache and cache mounts take no more than this' },
  { name: 'max-inodes', value: 'NUMBER', help: 'The same for inodes' },
  { name: 'min-free-bytes', value: 'SIZE', help: 'Remove the least recently used until this is free on the filesystem: 20g, 10%' },
  { name: 'min-free-inodes', value: 'NUMBER', help: 'The same for inodes: 500000, 10%' },
]

export function policyTexts({ options }: CommandInput, what: PrunePolicy['what']): PolicyTexts {
  const [keepLast, maxBytes, maxInodes, minFreeBytes, minFreeInodes] = policyKeys.map((key) => options.text(key))
  return { what, filter: options.texts('filter'), 'keep-last': keepLast, 'max-bytes': maxBytes, 'max-inodes': maxInodes, 'min-free-bytes': minFreeBytes, 'min-free-inodes': minFreeInodes }
}

/** Whether anything in it says what should go. */
export function saysAnything(texts: PolicyTexts): boolean {
  return texts.filter.length > 0 || policyKeys.some((key) => texts[key] !== undefined)
}

/** @throws {UsageError} */
export function parsePolicy(texts: PolicyTexts, nowMs: number): PrunePolicy {
  const keepLast = texts['keep-last']
  return {
    what: texts.what,
    filters: parseFilters(texts.filter, nowMs),
    keepLast: keepLast === undefined ? undefined : parseCount('keep-last', keepLast),
    budgets: parseBudgets(texts),
  }
}

function parseBudgets(texts: PolicyTexts): Budgets {
  const { 'max-bytes': maxBytes, 'max-inodes': maxInodes, 'min-free-bytes': minFreeBytes, 'min-free-inodes': minFreeInodes } = texts
  return {
    ...(maxBytes === undefined ? {} : { maxBytes: parseSize('max-bytes', maxBytes) }),
    ...(maxInodes === undefined ? {} : { maxInodes: parseCount('max-inodes', maxInodes) }),
    ...(minFreeBytes === undefined ? {} : { minFreeBytes: parseShare('min-free-bytes', minFreeBytes) ?? { kind: 'count', count: parseSize('min-free-bytes', minFreeBytes) } satisfies Amount }),
    ...(minFreeInodes === undefined ? {} : { minFreeInodes: parseShare('min-free-inodes', minFreeInodes) ?? { kind: 'count', count: parseCount('min-free-inodes', minFreeInodes) } satisfies Amount }),
  }
}

function parseShare(name: string, text: string): Amount | undefined {
  const digits = /^(\d{1,3}(?:\.\d{1,6})?)%$/u.exec(text)?.[1]
  if (digits === undefined) return undefined
  if (Number(digits) > 100) throw new UsageError(`${name} takes at most 100%, not "${text}"`)
  return { kind: 'share', share: Number(digits) / 100 }
}

function parseSize(name: string, text: string): number {
  const bytes = parseBytes(text)
  if (bytes === undefined) throw new UsageError(`${name} takes a size such as 512m or 20g, not "${text}"`)
  return bytes
}

function parseCount(name: string, text: string): number {
  if (!/^\d{1,15}$/u.test(text)) throw new UsageError(`${name} takes a whole number, not "${text}"`)
  return Number(text)
}

type Labels = Readonly<Record<string, string>>
type LabelTest = (labels: Labels) => boolean

function parseFilters(texts: readonly string[], nowMs: number): PruneFilters {
  const labels: LabelTest[] = []
  const names: ((name: string) => boolean)[] = []
  let filters: PruneFilters = {}
  for (const text of texts) {
    const [, key = '', isNot = '', value = ''] = /^([a-z]+)(!?)=(.*)$/su.exec(text) ?? []
    if (isNot !== '' && key !== 'label') throw new UsageError(`filter "${text}" cannot be turned around: only label!=… can`)
    switch (key) {
      case 'until': filters = { ...filters, beforeMs: earlier(filters.beforeMs, parseUntil(value, nowMs)) }; break
      case 'label': labels.push(parseLabel(value, isNot !== '')); break
      case 'reference': names.push(parseGlob(value)); break
      case 'dangling': filters = { ...filters, isDangling: onlySwitch(text, filters.isDangling, value) }; break
      case 'type': filters = { ...filters, kind: only(text, filters.kind, parseKind(text, value)) }; break
      default: throw new UsageError(`filter "${text}" is not known: there are until, label, reference, dangling and type, each with = and a value`)
    }
  }
  return {
    ...filters,
    ...(labels.length === 0 ? {} : { labels: (found) => labels.every((test) => test(found)) }),
    ...(names.length === 0 ? {} : { name: (name) => names.some((matches) => matches(name)) }),
  }
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 }

/** `48h`, `1h30m`, `7d`; a time as RFC 3339 or as seconds since the epoch. */
export function parseUntil(text: string, nowMs: number): number {
  if (/^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/u.test(text)) {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/gu)]
    return nowMs - parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (unitMs[unit] ?? 0), 0)
  }
  const time = /^\d{9,11}$/u.test(text) ? Number(text) * 1000 : /^\d{4}-/u.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw new UsageError(`filter until takes an age such as 48h or 7d, or a time such as 2026-01-31T12:00:00Z, not "${text}"`)
  return time
}

function parseLabel(text: string, isNot: boolean): LabelTest {
  const [, name = text, value] = /^([^=]*)=(.*)$/su.exec(text) ?? []
  if (name === '') throw new UsageError('filter label takes NAME or NAME=VALUE')
  return (labels) => (Object.hasOwn(labels, name) && (value === undefined || labels[name] === value)) !== isNot
}

/** Docker's: against the short name with and without its tag, and the whole name; `*` stops at slashes. */
export function parseGlob(text: string): (name: string) => boolean {
  if (text === '') throw new UsageError('filter reference takes a name or a pattern such as "app:*"')
  const source = text.replaceAll(/[.+^${}()|\\[\]]/gu, '\\$&').replaceAll('*', '[^/]*').replaceAll('?', '[^/]')
  const pattern = new RegExp(`^${source}$`, 'u')
  return (name) => {
    const reference = parseReference(name)
    const familiar = formatFamiliar(reference)
    return [name, familiar, formatFamiliar({ ...reference, tag: undefined, digest: undefined })].some((form) => pattern.test(form))
  }
}

function earlier(before: number | undefined, time: number): number {
  return before === undefined ? time : Math.min(before, time)
}

/** All filters have to hold, and these hold one at a time. */
function only<Value>(text: string, before: Value | undefined, value: Value): Value {
  if (before !== undefined && before !== value) throw new UsageError(`filter "${text}" contradicts the one before: nothing passes both`)
  return value
}

/** Of a filter that is true or false, the same each time it is given. @throws {UsageError} */
export function onlySwitch(text: string, before: boolean | undefined, value: string): boolean {
  return only(text, before, parseSwitch(text, value))
}

function parseSwitch(text: string, value: string): boolean {
  if (value === 'true' || value === '1') return true
  if (value === 'false' || value === '0') return false
  throw new UsageError(`filter "${text}" takes true or false`)
}

function parseKind(text: string, value: string): 'image' | 'cache' | 'mount' {
  if (value === 'image' || value === 'cache' || value === 'mount') return value
  throw new UsageError(`filter "${text}" takes image, cache or mount`)
}
