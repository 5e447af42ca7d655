import type { SecretSource } from '../mount/mount-parts.ts'
import { readSecret } from '../mount/secret-value.ts'
import { SecretGuard } from './secret-guard.ts'
import { isPublic, secretPatterns } from './secret-patterns.ts'

/** A guard of the values these secrets have now. @throws {SecretUnavailable} */
export function openGuard(secrets: Readonly<Record<string, SecretSource>>): SecretGuard {
  const found = Object.keys(secrets).map((id) => {
    const value = readSecret(secrets, { id, isRequired: true }) ?? new Uint8Array()
    return { id, patterns: secretPatterns(id, value), isShort: value.length < 1024 && !isPublic(Buffer.from(value).toString('latin1')) }
  })
  return new SecretGuard(found.flatMap(({ patterns }) => patterns), found.filter(({ patterns, isShort }) => isShort && patterns.length === 0).map(({ id }) => id))
}
