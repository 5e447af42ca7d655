import type { ChainId } from '../../oci/digest.ts'
import type { Store } from '../../storage/index.ts'
import type { ResolvedUser } from './user.ts'
import { resolveUser } from './user.ts'

/** Users of the containers of one build: a step that changed nothing leaves the account files as they were. */
export class KnownUsers {
  readonly #store: Store
  readonly #known = new Map<string, Promise<ResolvedUser>>()

  constructor(store: Store) {
    this.#store = store
  }

  /** @throws {UserUnknown} */
  resolve(chainId: ChainId | undefined, text: string): Promise<ResolvedUser> {
    const key = JSON.stringify([text, ...this.#store.layers.lowers(chainId).map(({ path }) => path)])
    const known = this.#known.get(key) ?? resolveUser(this.#store.layers.view(chainId), text)
    this.#known.set(key, known)
    return known
  }
}
