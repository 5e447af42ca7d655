import { closeSync, readSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'
import { getAddon } from '../../native/index.ts'
import type { Network, Privilege } from '../container-spec.ts'
import { NetworkUnavailable } from '../errors.ts'
import type { BridgeLease, BridgeOptions } from './bridge.ts'
import { leaseBridgePort } from './bridge.ts'

/** A network for one container. */
export interface NetworkLoan extends Disposable {
  readonly network: Extract<Network, { mode: 'bridge' | 'none' }>
  /** Its container has come to its end, so the next may have the network. */
  keep(): void
}

/** As many steps as a build runs at a time, which may all have left connections. */
const mostIdle = 8

interface PooledNetwork {
  /** undefined: it has only loopback. */
  readonly lease: BridgeLease | undefined
  readonly namespaceFd: number
  readonly socketsFd: number
}

/**
 * Networks that containers of one kind use one after the other: making one and removing it takes the kernel a third of
 * what a container costs. @see docs/decisions/0086-networks-used-again.md
 */
export class NetworkPool implements Disposable {
  readonly #options: BridgeOptions
  readonly #idle: PooledNetwork[] = []
  #isOver = false

  constructor(options: BridgeOptions) {
    this.#options = options
  }

  /** @throws {NetworkUnavailable} {InvalidSpec} */
  async borrow(mode: NetworkLoan['network']['mode']): Promise<NetworkLoan> {
    const rested = this.#idle.findLastIndex((pooled) => (pooled.lease === undefined) === (mode === 'none') && !hasSockets(pooled))
    const [kept] = rested < 0 ? [] : this.#idle.splice(rested, 1)
    if (kept !== undefined) return this.#lend(kept, true)
    const lease = mode === 'none' ? undefined : await leaseBridgePort(this.#options)
    try {
      const [namespaceFd, socketsFd] = makeNetwork(mode)
      return this.#lend({ lease, namespaceFd, socketsFd }, false)
    } catch (error) {
      lease?.[Symbol.dispose]()
      throw error
    }
  }

  #lend(pooled: PooledNetwork, isConnected: boolean): NetworkLoan {
    let isKept = false
    const path = `/proc/${process.pid}/fd/${pooled.namespaceFd}`
    return {
      network: pooled.lease === undefined ? { mode: 'none', namespace: { path } } : { mode: 'bridge', port: pooled.lease.port, namespace: { path, isConnected } },
      keep: () => { isKept = true },
      [Symbol.dispose]: () => {
        if (!isKept || this.#isOver) close(pooled)
        else this.#rest(pooled)
      },
    }
  }

  /** What connections are left in it end by themselves. */
  #rest(pooled: PooledNetwork): void {
    this.#idle.push(pooled)
    for (const oldest of this.#idle.splice(0, this.#idle.length - mostIdle)) close(oldest)
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    for (const pooled of this.#idle.splice(0)) close(pooled)
  }
}

function makeNetwork(mode: string): [namespaceFd: number, socketsFd: number] {
  try {
    return getAddon().makeNetwork()
  } catch (error) {
    if (!isErrno(error, 'ENOSPC', 'ENOMEM', 'EMFILE', 'ENFILE', 'EPERM', 'EINVAL')) throw error
    const remedy = error.code === 'ENOSPC' ? '; user.max_net_namespaces (sysctl) says how many there may be' : ''
    throw new NetworkUnavailable(mode, `the kernel makes no network namespace: ${error.code}${remedy}`, { cause: error })
  }
}

const buffer = Buffer.alloc(4096)

/**
 * Whether anything is left of the connections of those who were there. The kernel counts what a process holds open, or goes
 * on without one, as used, and apart from that what waits for late packets.
 */
function hasSockets({ socketsFd }: PooledNetwork): boolean {
  const text = buffer.toString('latin1', 0, readSync(socketsFd, buffer, 0, buffer.length, 0))
  return !/^sockets: used 0\nTCP: .* tw 0 /u.test(text)
}

function close({ lease, namespaceFd, socketsFd }: PooledNetwork): void {
  closeSync(socketsFd)
  closeSync(namespaceFd)
  lease?.[Symbol.dispose]()
}

/**
 * Whether all that a container with these privileges can leave in its network is sockets: it has no capability beyond the
 * usual, and /proc/sys is read-only for it.
 */
export function leavesNetworkUnchanged({ capAdd = [], capabilitySets, isPrivileged = false, systemPaths = 'default' }: Privilege): boolean {
  return capAdd.length === 0 && capabilitySets === undefined && !isPrivileged && systemPaths === 'default'
}
