import { sha256 } from '../../oci/digest.ts'

/** One thing a result depends on, named for people: `base`, `command`, `env PATH`, `file src/a.ts`. */
export interface KeyPart {
  readonly name: string
  readonly value: string
}

/** When two steps have equal keys, the result of one stands for the other. */
export interface CacheKey {
  readonly digest: string
  /** What the digest is over, kept so that a later miss can name what changed. */
  readonly parts: readonly KeyPart[]
  /** In place of the parts `source N`, the files these are over: kept for the last run only, as they can be many. */
  readonly files?: () => readonly KeyPart[]
}

/** Raised when a step's result changes without a change of its parts, so that older entries miss. */
const generation = '1'

export function cacheKey(kind: string, parts: readonly KeyPart[]): CacheKey {
  return { digest: sha256(JSON.stringify([generation, kind, parts.map(({ name, value }) => [name, value])])), parts }
}
