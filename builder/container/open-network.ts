import type { Executor, Network, UserNamespaceChoice } from '../../runtime/index.ts'
import { isNetworkForeign, leaseBridgePort, NetworkUnavailable } from '../../runtime/index.ts'

/** `default` is a bridge, for a plain user the host's network, and that too, with a warning, where root cannot have a bridge; `joined` is the path of a namespace. */
export type NetworkChoice = 'default' | 'none' | 'host' | 'bridge' | { readonly joined: string }

/** A network to run a container in; an address is given back when it is disposed. */
export interface OpenNetwork extends Disposable {
  readonly network: Network
}

export interface NetworkSettings {
  readonly subnet?: string | undefined
  readonly isIsolated: boolean
  /** Only our helper can hang a container on a bridge. */
  readonly executor: Executor
  readonly userNamespace: UserNamespaceChoice
  /** Told why the default is not a bridge. */
  readonly warn: (reason: string) => void
}

/** @throws {NetworkUnavailable} a bridge was asked for by name and cannot be */
export async function openNetwork(choice: NetworkChoice, { subnet, isIsolated, executor, userNamespace, warn }: NetworkSettings): Promise<OpenNetwork> {
  if (typeof choice === 'object') return shared({ mode: 'joined', path: choice.joined })
  if (choice === 'none' || choice === 'host') return shared({ mode: choice })
  if (choice === 'default' && (executor.kind !== 'helper' || isNetworkForeign())) return shared({ mode: 'host' })
  try {
    const lease = await leaseBridgePort({ subnet, isIsolated })
    return { network: { mode: 'bridge', port: lease.port }, [Symbol.dispose]: () => { lease[Symbol.dispose]() } }
  } catch (error) {
    if (choice === 'bridge' || userNamespace.kind !== 'host' || !(error instanceof NetworkUnavailable)) throw error
    warn(error.reason)
    return shared({ mode: 'host' })
  }
}

function shared(network: Network): OpenNetwork {
  return { network, [Symbol.dispose]: () => undefined }
}
