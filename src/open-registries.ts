import type { RegistryAccess } from '../builder/index.ts'
import type { App } from './app.ts'

/** The way to registries for a command that needs no store. */
export async function openRegistries(app: App): Promise<RegistryAccess> {
  const { loadRegistriesConfig, openRegistryClient, resolveName } = await import('../registry-client/index.ts')
  const config = await loadRegistriesConfig(app.env)
  const client = await openRegistryClient(app.env, { userAgent: 'tsbuild', registries: config })
  return { config, client, references: (name) => resolveName(name, config) }
}
