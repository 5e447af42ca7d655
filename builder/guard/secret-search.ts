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
  readonly #exact: readonly Wanted[]
  readonly #loose: readonly Wanted[]
  #exactTail: Buffer = Buffer.alloc(0)
  #looseTail: Buffer = Buffer.alloc(0)
  readonly found = new Set<SecretPattern>()

  constructor(patterns: readonly SecretPattern[]) {
    const wanted = patterns.map((pattern): Wanted => ({ pattern, bytes: Buffer.from(pattern.text, 'latin1') }))
    this.#exact = wanted.filter(({ pattern }) => !pattern.isLoose)
    this.#loose = wanted.filter(({ pattern }) => pattern.isLoose)
  }

  add(bytes: Uint8Array): void {
    this.#exactTail = this.#search(this.#exactTail, bytes, this.#exact)
    this.#looseTail = this.#search(this.#looseTail, withoutBlanks(bytes), this.#loose)
  }

  #search(tail: Buffer, bytes: Uint8Array, wanted: readonly Wanted[]): Buffer {
    const window = Buffer.concat([tail, bytes])
    for (const { pattern, bytes: sought } of wanted) if (window.includes(sought)) this.found.add(pattern)
    const longest = Math.max(0, ...wanted.map(({ bytes: { length } }) => length - 1))
    return Buffer.from(window.subarray(Math.max(0, window.length - longest)))
  }
}

interface Wanted { readonly pattern: SecretPattern; readonly bytes: Buffer }

function withoutBlanks(bytes: Uint8Array): Buffer {
  const kept = Buffer.allocUnsafe(bytes.length)
  let length = 0
  for (const byte of bytes) if (!isBlank(byte)) kept[length++] = byte
  return kept.subarray(0, length)
}
