import { createTask } from '../core/task.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference, RegistryClient } from '../registry-client/index.ts'
import type { App } from './app.ts'

export interface RemoteManifest {
  readonly client: RegistryClient
  readonly reference: Reference
  /** What the name leads to now. */
  readonly findDigest: () => Promise<Digest>
}

/** The manifest in a registry that a name means, by the first registry that a short name may mean. */
export async function openRemoteManifest(name: string, app: App): Promise<RemoteManifest> {
  const { loadRegistriesConfig, ManifestUnknown, openRegistryClient, resolveName } = await import('../registry-client/index.ts')
  const registries = await loadRegistriesConfig(app.env)
  const [reference] = resolveName(name, registries)
  if (reference === undefined) throw new TypeError(`"${name}" means no registry`)
  const client = await openRegistryClient(app.env, { userAgent: 'tsbuild', registries })
  return {
    client,
    reference,
    findDigest: async () => {
      const found = reference.digest ?? (await client.resolve(reference, createTask(app)))?.digest
      if (found === undefined) throw new ManifestUnknown(name, reference.registry)
      return found
    },
  }
}
