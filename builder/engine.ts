import { homedir } from 'node:os'
import { join } from 'node:path'
import type { RegistryAccess } from '../registry-client/index.ts'
import { createUploadJournal, openRegistryAccess } from '../registry-client/index.ts'
import type { Store } from '../storage/index.ts'
import { openStore } from '../storage/index.ts'

export interface EngineOptions {
  /** Where everything is kept; default `TSBUILD_ROOT`, else /var/lib/tsbuild as root and the XDG data directory otherwise. */
  readonly root?: string
  /** Default: this process's. */
  readonly env?: NodeJS.ProcessEnv
  /** How many bytes of a blob one upload request carries at most. */
  readonly uploadChunkBytes?: number
}

/** What every operation needs: the store, and the way to registries, set up when it is first needed. */
export interface Engine extends AsyncDisposable {
  readonly store: Store
  readonly env: NodeJS.ProcessEnv
  registries(): Promise<RegistryAccess>
  /** Where base images and records of builds are kept, when that is not here. Layers of bases are copied as they are needed. */
  readonly home?: Engine
}

export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const { env = process.env, uploadChunkBytes } = options
  const store = await openStore(options.root ?? defaultRoot(env))
  let access: Promise<RegistryAccess> | undefined
  return {
    store,
    env,
    registries: () => {
      access ??= openRegistryAccess(env, { journal: createUploadJournal(join(store.root, 'transfers', 'uploads')), ...(uploadChunkBytes === undefined ? {} : { uploadChunkBytes }) })
      return access
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

export function defaultRoot(env: NodeJS.ProcessEnv): string {
  const given = env['TSBUILD_ROOT']
  if (given !== undefined && given !== '') return given
  if (process.getuid?.() === 0) return '/var/lib/tsbuild'
  return join(env['XDG_DATA_HOME'] || join(env['HOME'] || homedir(), '.local', 'share'), 'tsbuild')
}
