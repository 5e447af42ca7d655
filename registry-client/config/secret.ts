/** A text that must not be shown: printed, inspected or serialised it says only that it is one. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The text itself, for the one request that needs it. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return this.toString()
  }

  /** What `util.inspect` calls, and with it whatever prints objects. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}
