import { openSync, closeSync, fstatSync, readFileSync } from 'node:fs'
import { SecretUnavailable } from './errors.ts'
import type { SecretSource } from './mount-parts.ts'

/** Docker's. */
const maxSecretBytes = 500 * 1024

/**
 * Reads a secret anew for each step that wants it. Its value goes into no key, record or message.
 * @returns undefined when the build was given no such secret
 * @throws {SecretUnavailable} when it cannot be read, or is required and was not given
 */
export function readSecret(secrets: Readonly<Record<string, SecretSource>>, { id, isRequired }: { readonly id: string; readonly isRequired: boolean }): Uint8Array | undefined {
  const source = Object.hasOwn(secrets, id) ? secrets[id] : undefined
  if (source === undefined) {
    if (isRequired) throw new SecretUnavailable(id, 'it is required, and the build was not given it', `--secret id=${id},src=FILE`)
    return undefined
  }
  const value = source.kind === 'file' ? readSecretFile(id, source.path) : source.value
  if (value.byteLength > maxSecretBytes) throw new SecretUnavailable(id, `it has ${value.byteLength} bytes, more than ${maxSecretBytes}`, undefined)
  return value
}

function readSecretFile(id: string, path: string): Uint8Array {
  try {
    const fd = openSync(path, 'r')
    try {
      const { size } = fstatSync(fd)
      if (size > maxSecretBytes) throw new SecretUnavailable(id, `it has ${size} bytes, more than ${maxSecretBytes}`, undefined)
      return readFileSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (error instanceof SecretUnavailable) throw error
    throw new SecretUnavailable(id, `its file "${path}" cannot be read`, undefined, { cause: error })
  }
}
