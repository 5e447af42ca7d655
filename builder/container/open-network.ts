import type { NetworkPool, Network, PublishedPort } from '../../runtime/index.ts'
import { isNetworkForeign, leaseBridgePort, NetworkUnavailable } from '../../runtime/index.ts'
import type { Confinement, NetworkChoice } from './confinement.ts'

/** A network to run a container in; an address is given back when it is disposed. */
export interface OpenNetwork extends Disposable {
  readonly network: Network
  /** Its container has come to its end: where it is of a pool, another may have it. */
  keep(): void
}

/** Only our helper can hang a container on a bridge or private network. */
export interface NetworkSettings extends Pick<Confinement, 'subnet' | 'executor' | 'userNamespace' | 'userNetwork'> {
  readonly isIsolated: boolean
  readonly ports: readonly PublishedPort[]
  /** Where a bridge network, or none, comes from; default one of its own. */
  readonly pool?: NetworkPool | undefined
  /** Told why the default is the host's. */
  readonly warn: (reason: string) => void
}

/** @throws {NetworkUnavailable} what was asked for by name cannot be */
export async function openNetwork(choice: NetworkChoice, settings: NetworkSettings): Promise<OpenNetwork> {
  if (typeof choice === 'object') return shared({ mode: 'joined', path: choice.joined })
  if (choice === 'none') return await openNone(settings)
  if (choice === 'host') return shared({ mode: 'host' })
  if (choice === 'default' && settings.executor.kind !== 'helper') return shared({ mode: 'host' })
  try {
    return choice === 'private' || (choice === 'default' && isNetworkForeign()) ? openPrivate(settings) : await openBridge(settings)
  } catch (error) {
    if (choice !== 'default' || settings.userNamespace.kind !== 'host' || !(error instanceof NetworkUnavailable)) throw error
    settings.warn(error.reason)
    return shared({ mode: 'host' })
  }
}

async function openNone({ pool, executor }: NetworkSettings): Promise<OpenNetwork> {
  return pool === undefined || executor.kind !== 'helper' ? shared({ mode: 'none' }) : await pool.borrow('none')
}

async function openBridge({ subnet, isIsolated, pool }: NetworkSettings): Promise<OpenNetwork> {
  if (pool !== undefined) return pool.borrow('bridge')
  const lease = await leaseBridgePort({ subnet, isIsolated })
  return { network: { mode: 'bridge', port: lease.port }, keep: () => undefined, [Symbol.dispose]: () => { lease[Symbol.dispose]() } }
}

function openPrivate({ userNetwork, ports }: NetworkSettings): OpenNetwork {
  if (!isNetworkForeign()) throw new NetworkUnavailable('private', 'it is for plain users; root has --network bridge')
  if (userNetwork.kind === 'missing') throw new NetworkUnavailable('private', userNetwork.reason)
  return shared({ mode: 'private', program: userNetwork, ports })
}

function shared(network: Network): OpenNetwork {
  return { network, keep: () => undefined, [Symbol.dispose]: () => undefined }
}
