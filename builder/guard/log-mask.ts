import type { SecretPattern } from './secret-patterns.ts'
import { findAll, openEnd, SecretScanner } from './secret-search.ts'

export const mask = '***'

/** A secret that a log held, and where it was first. */
export interface Masked {
  readonly pattern: SecretPattern
  /** From 1. */
  readonly line: number
}

/** Takes secrets out of one stream of output. What may be the beginning of one is held back until it is known. */
export class LogMask {
  readonly #patterns: readonly SecretPattern[]
  #held = ''
  #lines = 0
  /** The secrets that were seen, by id. */
  readonly seen = new Map<string, Masked>()

  constructor(patterns: readonly SecretPattern[]) {
    this.#patterns = patterns
  }

  add(bytes: Uint8Array): Buffer {
    const text = this.#held + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
    const found = findAll(text, this.#patterns)
    const open = openEnd(text, this.#patterns)
    const until = Math.max(open, ...found.map(({ end }) => end))
    this.#held = text.slice(until)
    const done = text.slice(0, until)
    const masked = this.#masked(done, found)
    this.#lines += countLineEnds(done)
    return masked
  }

  /** What was held back and turned out to be harmless. */
  end(): Buffer {
    const rest = Buffer.from(this.#held, 'latin1')
    this.#held = ''
    return rest
  }

  #masked(text: string, found: ReturnType<typeof findAll>): Buffer {
    let result = ''
    let from = 0
    for (const { start, end, pattern } of found.toSorted((one, other) => one.start - other.start || other.end - one.end)) {
      if (!this.seen.has(pattern.secret)) this.seen.set(pattern.secret, { pattern, line: this.#lines + countLineEnds(text.slice(0, start)) + 1 })
      if (end <= from) continue
      result += start >= from ? text.slice(from, start) + mask : ''
      from = end
    }
    return Buffer.from(result + text.slice(from), 'latin1')
  }
}

function countLineEnds(text: string): number {
  return text.split('\n').length - 1
}

/** A text of ours, whole. */
export function maskText(text: string, patterns: readonly SecretPattern[]): string {
  if (patterns.length === 0) return text
  const bytes = Buffer.from(text)
  const scanner = new SecretScanner(patterns)
  scanner.add(bytes)
  if (scanner.found.size === 0) return text
  const log = new LogMask(patterns)
  return Buffer.concat([log.add(bytes), log.end()]).toString()
}
