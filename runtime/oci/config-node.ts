import { InvalidSpec } from '../errors.ts'

/** An object of a config.json, whose fields are checked as they are read; null is what Go writes for what is not there. */
export class ConfigNode {
  readonly field: string
  readonly #values: ReadonlyMap<string, unknown>

  constructor(value: unknown, field: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InvalidSpec(field, value, 'an object')
    this.field = field
    this.#values = new Map(Object.entries(value))
  }

  /** For the fields that ask for what cannot be done; an unknown field is to be ignored. @throws {InvalidSpec} one of them is there and not empty */
  refuse(names: readonly string[], wanted = 'nothing: this runtime cannot do it'): void {
    for (const name of names) {
      const value = this.#values.get(name)
      if (value === undefined || value === null || value === false || value === '' || value === 0) continue
      if (typeof value === 'object' && Object.keys(value).length === 0) continue
      throw new InvalidSpec(this.#path(name), value, wanted)
    }
  }

  raw(name: string): unknown {
    return this.#values.get(name) ?? undefined
  }

  text(name: string): string | undefined {
    return this.#read(name, 'a text', (value) => typeof value === 'string')
  }

  needText(name: string): string {
    const text = this.text(name)
    if (text === undefined) throw new InvalidSpec(this.#path(name), undefined, 'a text')
    return text
  }

  number(name: string): number | undefined {
    return this.#read(name, 'a whole number', (value): value is number => typeof value === 'number' && Number.isInteger(value))
  }

  needNumber(name: string): number {
    const number = this.number(name)
    if (number === undefined) throw new InvalidSpec(this.#path(name), undefined, 'a whole number')
    return number
  }

  flag(name: string): boolean {
    return this.#read(name, 'true or false', (value) => typeof value === 'boolean') ?? false
  }

  texts(name: string): readonly string[] {
    return this.#read(name, 'a list of texts', (value): value is string[] => Array.isArray(value) && value.every((item) => typeof item === 'string')) ?? []
  }

  numbers(name: string): readonly number[] {
    return this.#read(name, 'a list of whole numbers', (value): value is number[] => Array.isArray(value) && value.every(Number.isInteger)) ?? []
  }

  /** By name; texts too. */
  pairs(name: string): Readonly<Record<string, string>> {
    const value = this.raw(name)
    if (value === undefined) return {}
    const node = new ConfigNode(value, this.#path(name))
    return Object.fromEntries([...node.#values.keys()].map((key) => [key, node.needText(key)]))
  }

  /** One without fields where there is none. */
  child(name: string): ConfigNode {
    return new ConfigNode(this.raw(name) ?? {}, this.#path(name))
  }

  children(name: string): readonly ConfigNode[] {
    const list = this.#read(name, 'a list', (value): value is unknown[] => Array.isArray(value)) ?? []
    return list.map((item, index) => new ConfigNode(item, `${this.#path(name)}[${index}]`))
  }

  #read<T>(name: string, wanted: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.raw(name)
    if (value === undefined || is(value)) return value
    throw new InvalidSpec(this.#path(name), value, wanted)
  }

  #path(name: string): string {
    return this.field === '' ? name : `${this.field}.${name}`
  }
}
