import type { SecretSource } from '../mount/mount-parts.ts'
import { readSecret } from '../mount/secret-value.ts'
import { SecretGuard } from './secret-guard.ts'
import { isTooShort, secretPatterns } from './secret-patterns.ts'

/** A guard of the values these secrets have now. @throws {SecretUnavailable} */
export function openGuard(secrets: Readonly<Record<string, SecretSource>>): SecretGuard {
  const values = Object.keys(secrets).map((id) => ({ id, value: readSecret(secrets, { id, isRequired: true }) ?? new Uint8Array() }))
  return new SecretGuard(values.flatMap(({ id, value }) => secretPatterns(id, value)), values.filter(({ value }) => isTooShort(value)).map(({ id }) => id))
}
