import { UsageError } from './errors.ts'

/**
 * Reads `type=oci,dest=a.tar`, the form of several of Docker's options; a field in double quotes may hold commas.
 * @throws {UsageError} for a field without a key, and a key given twice
 */
export function parseAttributes(text: string, option: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>()
  for (const field of splitFields(text, option)) {
    const equals = field.indexOf('=')
    if (equals <= 0) throw new UsageError(`option --${option} takes KEY=VALUE[,KEY=VALUE...], not "${text}"`)
    const key = field.slice(0, equals).trim()
    if (attributes.has(key)) throw new UsageError(`option --${option} has ${key} twice in "${text}"`)
    attributes.set(key, field.slice(equals + 1))
  }
  return attributes
}

function splitFields(text: string, option: string): string[] {
  const fields = [...text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/gu)]
  const read = fields.reduce((length, [whole]) => length + whole.length, 0)
  if (read !== text.length) throw new UsageError(`option --${option} has a quote that does not go around a whole field: "${text}"`)
  return fields.map(([, quoted, bare]) => quoted === undefined ? bare ?? '' : quoted.replaceAll('""', '"'))
}

/** Takes attributes out of a list one by one, so that what is left over was not understood. */
export class Attributes {
  readonly #values: Map<string, string>
  readonly #option: string

  constructor(text: string, option: string) {
    this.#values = new Map(parseAttributes(text, option))
    this.#option = option
  }

  text(key: string): string | undefined {
    const value = this.#values.get(key)
    this.#values.delete(key)
    return value
  }

  isOn(key: string): boolean | undefined {
    const value = this.text(key)
    if (value === undefined) return undefined
    if (value === 'true' || value === '1') return true
    if (value === 'false' || value === '0') return false
    throw new UsageError(`${key} of option --${this.#option} is true or false, not "${value}"`)
  }

  word<Word extends string>(key: string, words: readonly Word[]): Word | undefined {
    const value = this.text(key)
    const word = words.find((known) => known === value)
    if (value !== undefined && word === undefined) throw new UsageError(`${key} of option --${this.#option} is ${words.join(', ')}, not "${value}"`)
    return word
  }

  number(key: string, { least, most }: { readonly least: number; readonly most: number }): number | undefined {
    const value = this.text(key)
    if (value === undefined) return undefined
    const number = /^\d{1,9}$/u.test(value) ? Number(value) : NaN
    if (!(number >= least && number <= most)) throw new UsageError(`${key} of option --${this.#option} is a number from ${least} to ${most}, not "${value}"`)
    return number
  }

  /** What begins so, without the beginning. */
  prefixed(prefix: string): Record<string, string> {
    const found = [...this.#values].filter(([key]) => key.startsWith(prefix))
    for (const [key] of found) this.#values.delete(key)
    return Object.fromEntries(found.map(([key, value]) => [key.slice(prefix.length), value]))
  }

  /** @throws {UsageError} when something was not taken; `remedy` says what to do instead of some */
  finish(remedy: (key: string) => string | undefined = () => undefined): void {
    const [left] = this.#values.keys()
    if (left === undefined) return
    const instead = remedy(left)
    throw new UsageError(`option --${this.#option} does not know "${left}" here${instead === undefined ? '' : `: ${instead}`}`)
  }
}
