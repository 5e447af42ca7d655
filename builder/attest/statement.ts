import type { Digest } from '../../oci/digest.ts'
import { digestAlgorithm, digestHex } from '../../oci/digest.ts'
import type { Json, JsonObject } from '../../oci/json.ts'

/** A claim, before it is said of what. */
export interface Predicate {
  readonly type: 'https://spdx.dev/Document' | 'https://slsa.dev/provenance/v1'
  readonly content: JsonObject
}

export interface Subject {
  /** One for each name, or just one. */
  readonly names: readonly string[]
  readonly digests: readonly Digest[]
}

/** @see in-toto attestation "Statement", v1 */
export function encodeStatement({ type, content }: Predicate, { names, digests }: Subject): Uint8Array {
  const subject = digests.flatMap((digest) => (names.length === 0 ? ['_'] : names).map((name) => ({ name, digest: digestSet(digest) })))
  return new TextEncoder().encode(JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject, predicateType: type, predicate: content }))
}

export function digestSet(digest: Digest): JsonObject {
  return { [digestAlgorithm(digest)]: digestHex(digest) }
}

/** Without the fields that have nothing. */
export function present(fields: Readonly<Record<string, Json | undefined>>): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
