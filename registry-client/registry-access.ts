import { loadRegistriesConfig, resolveName } from './config/registries.ts'
import type { RegistriesConfig } from './config/registries.ts'
import type { Environment } from './config/environment.ts'
import type { RegistryClient } from './client.ts'
import type { OpenOptions } from './create-registry-client.ts'
import { openRegistryClient } from './create-registry-client.ts'
import type { Reference } from './reference.ts'

export interface RegistryAccess {
  readonly config: RegistriesConfig
  readonly client: RegistryClient
  /** What a name may mean, best first: one reference for a full name, several for a short one under search registries. */
  readonly references: (name: string) => readonly Reference[]
}

/** A client, and what names mean to it, by the configuration files that `env` leads to. @throws {InvalidConfiguration} */
export async function openRegistryAccess(env: Environment, options: Omit<OpenOptions, 'registries' | 'userAgent'> = {}): Promise<RegistryAccess> {
  const config = await loadRegistriesConfig(env)
  const client = await openRegistryClient(env, { ...options, userAgent: 'tsbuild', registries: config })
  return { config, client, references: (name) => resolveName(name, config) }
}
