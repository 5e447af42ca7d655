import type { Encoding, SecretPattern } from './secret-patterns.ts'

/** Where a secret was found, without its value. */
export interface Leak {
  readonly secret: string
  readonly encoding: Encoding
  /** `file "/app/token"`, `name of file "/app/***"`, `label "token"`. */
  readonly place: string
}

/** One leak for each secret seen, by the plainest of its forms. */
export function leaksAt(place: string, patterns: Iterable<SecretPattern>): Leak[] {
  const bySecret = Map.groupBy(patterns, ({ secret }) => secret)
  return [...bySecret].map(([secret, [first]]) => ({ secret, encoding: first?.encoding ?? 'plain', place }))
}
