import type { SecretPattern } from './secret-patterns.ts'

/** The bytes of every pattern by which it is told where it may stand; all but the first would cost more than they skip. */
const maxKeyBytes = 4096

interface Wanted { readonly pattern: SecretPattern; readonly bytes: Buffer }

/**
 * Finds many patterns in one pass: two bytes of the text say how far it can be skipped (Wu and Manber, "A fast
 * algorithm for multi-pattern searching"). Patterns have at least four bytes.
 */
export class PatternIndex {
  readonly longestBytes: number
  readonly #keyBytes: number
  /** By two bytes, how many bytes farther on a pattern's key may end at the earliest. */
  readonly #skips: Uint16Array
  readonly #byStart = new Map<number, Wanted[]>()

  constructor(patterns: readonly SecretPattern[]) {
    const all = patterns.map((pattern): Wanted => ({ pattern, bytes: Buffer.from(pattern.text, 'latin1') }))
    this.longestBytes = all.reduce((most, { bytes }) => Math.max(most, bytes.length), 0)
    this.#keyBytes = all.reduce((least, { bytes }) => Math.min(least, bytes.length), maxKeyBytes)
    this.#skips = new Uint16Array(65536).fill(this.#keyBytes - 1)
    for (const wanted of all) this.#insert(wanted)
  }

  #insert(wanted: Wanted): void {
    for (let end = 1; end < this.#keyBytes; end += 1) {
      const pair = pairAt(wanted.bytes, end)
      this.#skips[pair] = Math.min(this.#skips[pair] ?? 0, this.#keyBytes - 1 - end)
    }
    const start = wanted.bytes.readUInt32LE(0)
    const others = this.#byStart.get(start)
    if (others === undefined) this.#byStart.set(start, [wanted])
    else others.push(wanted)
  }

  /** Adds the patterns that stand in `text` to `found`. */
  search(text: Buffer, found: Set<SecretPattern>): void {
    if (this.longestBytes === 0) return
    for (let end = this.#keyBytes - 1; end < text.length;) {
      const skip = this.#skips[pairAt(text, end)] ?? 0
      if (skip === 0) {
        this.#compare(text, end - this.#keyBytes + 1, found)
        end += 1
      } else end += skip
    }
  }

  #compare(text: Buffer, start: number, found: Set<SecretPattern>): void {
    for (const { pattern, bytes } of this.#byStart.get(text.readUInt32LE(start)) ?? []) {
      const end = start + bytes.length
      if (end <= text.length && bytes.compare(text, start, end) === 0) found.add(pattern)
    }
  }
}

function pairAt(bytes: Buffer, end: number): number {
  return ((bytes[end - 1] ?? 0) << 8) | (bytes[end] ?? 0)
}
