import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import type { Credential, CredentialFile } from './credential-file.ts'
import { parseEntry, readCredentialFile, serverName } from './credential-file.ts'
import type { Environment } from './environment.ts'
import { belowHome, belowUserConfig, variable } from './environment.ts'

/** Where the client gets credentials when a registry asks for them. */
export interface CredentialSource {
  /** For this registry and no other. @throws {CredentialHelperFailed} @throws {InvalidConfiguration} */
  find(place: { readonly registry: string; readonly repository: string }, task: Task): Promise<Credential | undefined>
}

/** Nobody is logged in anywhere. */
export const noCredentials: CredentialSource = { find: () => Promise.resolve(undefined) }

const helperDeadlineMs = 30_000
/** Under this name helpers keep identity tokens. */
const tokenUsername = '<token>'

/**
 * Reads the credentials that docker and podman share. REGISTRY_AUTH_FILE alone counts when it is set; else, in this order,
 * DOCKER_CONFIG's config.json, containers' auth.json of the session and of the user, and ~/.docker/config.json. A file
 * that is not there is none; one that cannot be used is an error. Helpers run only when a registry asks.
 * @throws {InvalidConfiguration}
 * @see containers-auth.json(5)
 */
export async function loadCredentials(env: Environment, options: { readonly helperDeadlineMs: number } = { helperDeadlineMs }): Promise<CredentialSource> {
  const read = await Promise.all(credentialPaths(env).map(readCredentialFile))
  const files = read.filter((file) => file !== undefined)
  return {
    find: async (place, task) => {
      for (const file of files) {
        const found = await findInFile(file, place, { env, deadlineMs: options.helperDeadlineMs, task })
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}

/** The files to search, the most telling first. */
export function credentialPaths(env: Environment): string[] {
  const explicit = variable(env, 'REGISTRY_AUTH_FILE')
  if (explicit !== undefined) return [explicit]
  const dockerConfig = variable(env, 'DOCKER_CONFIG')
  const runtimeDirectory = variable(env, 'XDG_RUNTIME_DIR')
  const paths = [
    dockerConfig === undefined ? undefined : join(dockerConfig, 'config.json'),
    runtimeDirectory === undefined ? undefined : join(runtimeDirectory, 'containers', 'auth.json'),
    belowUserConfig(env, 'containers', 'auth.json'),
    dockerConfig === undefined ? belowHome(env, '.docker', 'config.json') : undefined,
  ]
  return paths.filter((path) => path !== undefined)
}

/** Where `login` writes unless a file that is searched knows the registry: REGISTRY_AUTH_FILE, else Docker's config.json. */
export function loginPath(env: Environment): string | undefined {
  const dockerConfig = variable(env, 'DOCKER_CONFIG')
  return variable(env, 'REGISTRY_AUTH_FILE') ?? (dockerConfig === undefined ? belowHome(env, '.docker', 'config.json') : join(dockerConfig, 'config.json'))
}

/** The nearest entry wins: the repository's own, then that of each folder above, then the registry's. */
async function findInFile(file: CredentialFile, { registry, repository }: { registry: string; repository: string }, helpers: { env: Environment; deadlineMs: number; task: Task }): Promise<Credential | undefined> {
  const { env, deadlineMs, task } = helpers
  for (const key of keysFor(registry, repository)) {
    const helper = file.helpers.get(key) ?? (key === registry ? file.defaultHelper : undefined)
    if (helper !== undefined) {
      const { askHelper } = await import('../credential-helper.ts')
      const kept = await askHelper({ name: helper, env, deadlineMs }, serverName(registry), task)
      if (kept !== undefined) return kept.username === tokenUsername ? { kind: 'identity-token', token: kept.secret } : { kind: 'password', username: kept.username, password: kept.secret }
    }
    const entry = file.entries.get(key)
    const credential = entry === undefined ? undefined : parseEntry({ path: file.path, ...entry })
    if (credential !== undefined) return credential
  }
  return undefined
}

function keysFor(registry: string, repository: string): string[] {
  const parts = repository.split('/')
  return [...parts.map((_, index) => `${registry}/${parts.slice(0, parts.length - index).join('/')}`), registry]
}
