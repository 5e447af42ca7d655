import { PatternIndex } from './pattern-index.ts'
import type { SecretPattern } from './secret-patterns.ts'

/** Half-open, in the text searched. */
export interface Found {
  readonly start: number
  readonly end: number
  readonly pattern: SecretPattern
}

/** Every place of every pattern in a latin1 text. */
export function findAll(text: string, patterns: readonly SecretPattern[]): Found[] {
  const exact = patterns.filter(({ isLoose }) => !isLoose).flatMap((pattern) => occurrences(text, pattern))
  const loose = patterns.filter(({ isLoose }) => isLoose)
  if (loose.length === 0) return exact
  const { stripped, positions } = strip(text)
  const inStripped = loose.flatMap((pattern) => occurrences(stripped, pattern))
  return [...exact, ...inStripped.map(({ start, end, pattern }) => ({ start: positions[start] ?? 0, end: (positions[end - 1] ?? 0) + 1, pattern }))]
}

function occurrences(text: string, pattern: SecretPattern): Found[] {
  const found: Found[] = []
  for (let start = text.indexOf(pattern.text); start !== -1; start = text.indexOf(pattern.text, start + 1)) found.push({ start, end: start + pattern.text.length, pattern })
  return found
}

function strip(text: string): { readonly stripped: string; readonly positions: Uint32Array } {
  const positions = new Uint32Array(text.length)
  let count = 0
  for (let index = 0; index < text.length; index += 1) {
    if (!isBlank(text.charCodeAt(index))) positions[count++] = index
  }
  return { stripped: text.replaceAll(/[ \t\r\n]+/gu, ''), positions }
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d
}

/** Where the end of a text may be the beginning of a pattern that goes on in what comes next; the text's length when nowhere. */
export function openEnd(text: string, patterns: readonly SecretPattern[]): number {
  let earliest = text.length
  for (const { text: wanted, isLoose } of patterns) earliest = Math.min(earliest, isLoose ? openLoose(text, wanted) : openExact(text, wanted))
  return earliest
}

function openExact(text: string, wanted: string): number {
  for (let start = Math.max(0, text.length - wanted.length + 1); start < text.length; start += 1) {
    if (text[start] === wanted[0] && wanted.startsWith(text.slice(start))) return start
  }
  return text.length
}

/** As `openExact`, where the end of the text may hold blanks that do not count; at most as many as what counts. */
function openLoose(text: string, wanted: string): number {
  for (let start = Math.max(0, text.length - 2 * wanted.length); start < text.length; start += 1) {
    if (text[start] !== wanted[0]) continue
    const rest = text.slice(start).replaceAll(/[ \t\r\n]+/gu, '')
    if (rest.length < wanted.length && wanted.startsWith(rest)) return start
  }
  return text.length
}

/** Searches bytes that come in pieces, and remembers which patterns were seen. */
export class SecretScanner {
  readonly #indexes: Indexes
  #exactTail: Buffer = Buffer.alloc(0)
  #looseTail: Buffer = Buffer.alloc(0)
  readonly found = new Set<SecretPattern>()

  constructor(patterns: readonly SecretPattern[]) {
    this.#indexes = indexesOf(patterns)
  }

  add(bytes: Uint8Array): void {
    const { exact, loose } = this.#indexes
    this.#exactTail = this.#search(this.#exactTail, bytes, exact)
    if (loose.longestBytes > 0) this.#looseTail = this.#search(this.#looseTail, withoutBlanks(bytes), loose)
  }

  #search(tail: Buffer, bytes: Uint8Array, index: PatternIndex): Buffer {
    const window = tail.length === 0 ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : Buffer.concat([tail, bytes])
    index.search(window, this.found)
    return Buffer.from(window.subarray(Math.max(0, window.length - Math.max(0, index.longestBytes - 1))))
  }
}

interface Indexes { readonly exact: PatternIndex; readonly loose: PatternIndex }

/** A tree has a scanner for every name and file in it. */
const indexesByPatterns = new WeakMap<readonly SecretPattern[], Indexes>()

function indexesOf(patterns: readonly SecretPattern[]): Indexes {
  const known = indexesByPatterns.get(patterns)
  if (known !== undefined) return known
  const indexes = { exact: new PatternIndex(patterns.filter(({ isLoose }) => !isLoose)), loose: new PatternIndex(patterns.filter(({ isLoose }) => isLoose)) }
  indexesByPatterns.set(patterns, indexes)
  return indexes
}

/** 1 for a byte that counts. No branch: text has a blank at every few bytes. */
const counts = Uint8Array.from({ length: 256 }, (_, byte) => isBlank(byte) ? 0 : 1)

function withoutBlanks(bytes: Uint8Array): Buffer {
  const kept = Buffer.allocUnsafe(bytes.length)
  let length = 0
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index] ?? 0
    kept[length] = byte
    length += counts[byte] ?? 0
  }
  return kept.subarray(0, length)
}
