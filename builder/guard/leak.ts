import type { Encoding, SecretPattern } from './secret-patterns.ts'

/** Where a secret was found, without its value. */
export interface Leak {
  readonly secret: string
  readonly encoding: Encoding
  /** `file "/app/token"`, `name of file "/app/***"`, `label "token"`, `the log, line 3 of stdout`. */
  readonly place: string
}

export function formatLeak({ secret, place, encoding }: Leak): string {
  return `"${secret}" is in ${place}${encoding === 'plain' ? '' : `, ${encoding}`}`
}

/** One leak for each secret seen, by the plainest of its forms. */
export function leaksAt(place: string, patterns: Iterable<SecretPattern>): Leak[] {
  const bySecret = Map.groupBy(patterns, ({ secret }) => secret)
  return [...bySecret].map(([secret, [first]]) => ({ secret, encoding: first?.encoding ?? 'plain', place }))
}
