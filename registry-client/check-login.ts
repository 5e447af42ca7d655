import type { Task } from '../core/task.ts'
import type { Environment } from './config/environment.ts'
import type { Login } from './config/login.ts'
import { openRegistryClient } from './create-registry-client.ts'
import { MalformedReference } from './errors.ts'
import { normalizeKey } from './config/credential-file.ts'
import { parseReference } from './reference.ts'

/**
 * Whether the registry takes these credentials, whatever others are stored for it.
 * @throws {AccessDenied} @throws {RegistryUnreachable}
 */
export async function checkLogin(env: Environment, { registry, username, password }: Login, task: Task): Promise<void> {
  const credentials = { find: () => Promise.resolve({ kind: 'password', username, password } as const) }
  const client = await openRegistryClient(env, { userAgent: 'tsbuild', credentials })
  await client.catalog.checkAccess(registry, task)
}

/** `host[:port]` of what users write for a registry: with a scheme, as docker's `https://index.docker.io/v1/`. @throws {MalformedReference} */
export function normalizeRegistry(text: string): string {
  const registry = normalizeKey(text)
  if (registry.includes('/')) throw new MalformedReference(text, 'credentials are kept for whole registries, host[:port]')
  // Any name in it must be one of that registry.
  if (parseReference(`${registry}/a/b`).registry !== registry) throw new MalformedReference(text, 'this is no registry; it would have a dot or a port, or be localhost')
  return registry
}
