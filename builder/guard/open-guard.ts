import type { SecretSource } from '../mount/mount-parts.ts'
import { readSecret } from '../mount/secret-value.ts'
import { SecretGuard } from './secret-guard.ts'
import { secretPatterns } from './secret-patterns.ts'

/** A guard of the values these secrets have now. @throws {SecretUnavailable} */
export function openGuard(secrets: Readonly<Record<string, SecretSource>>): SecretGuard {
  const found = Object.keys(secrets).map((id) => ({ id, patterns: secretPatterns(id, readSecret(secrets, { id, isRequired: true }) ?? new Uint8Array()) }))
  return new SecretGuard(found.flatMap(({ patterns }) => patterns), found.filter(({ patterns }) => patterns.length === 0).map(({ id }) => id))
}
