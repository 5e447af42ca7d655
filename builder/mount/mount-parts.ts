import type { RootfsView, Store } from '../../storage/index.ts'
import type { CachedLayers } from '../execute/cached-layers.ts'

/** What the mounts of RUN steps are made of. */
export interface MountParts {
  readonly store: Store
  readonly layers: CachedLayers
  /** The build context, or the folder of a --build-context. */
  readonly context: (name: string | undefined) => Promise<RootfsView>
  readonly secrets: Readonly<Record<string, SecretSource>>
  /** The socket of an agent or files of keys, by id. */
  readonly sshAgents: Readonly<Record<string, readonly string[]>>
}

/** Where the value of a secret comes from. */
export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'value'; readonly value: Uint8Array }
