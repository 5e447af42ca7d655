import { existsSync } from 'node:fs'
import type { Network, PublishedPort } from '../container-spec.ts'
import { NetworkUnavailable } from '../errors.ts'
import { forwardTcp } from './forward-tcp.ts'
import { forwardUdp } from './forward-udp.ts'
import type { Forwarder } from './forwarder.ts'

/**
 * Passes connections and datagrams on to the container, in this process: no rule outlives it. The container sees the bridge's address
 * as the peer. Returns when all ports listen; closing breaks the connections. A private network does that itself.
 * @throws {NetworkUnavailable}
 */
export async function publishPorts(ports: readonly PublishedPort[], network: Network): Promise<AsyncDisposable> {
  if (ports.length > 0 && network.mode !== 'bridge' && network.mode !== 'private') throw new NetworkUnavailable(network.mode, 'ports can be published from a bridge or private network only')
  const open: Forwarder[] = []
  const close = async (): Promise<void> => { for (const forwarder of open) await forwarder.close() }
  try {
    if (network.mode === 'bridge') for (const port of ports.flatMap(onEachAddress)) open.push(await forward(port, network.port.address))
  } catch (error) {
    await close()
    throw error
  }
  return { [Symbol.asyncDispose]: close }
}

/** As Docker: version 6 where the host has it. */
function onEachAddress(port: PublishedPort): (PublishedPort & { readonly address: string })[] {
  if (port.address !== undefined) return [{ ...port, address: port.address }]
  return [{ ...port, address: '0.0.0.0' }, ...(existsSync('/proc/net/if_inet6') ? [{ ...port, address: '::' }] : [])]
}

async function forward({ address, hostPort, containerPort, protocol }: PublishedPort & { readonly address: string }, host: string): Promise<Forwarder> {
  const listen = protocol === 'tcp' ? forwardTcp : forwardUdp
  return listen({ address, port: hostPort, target: { host, port: containerPort } })
}
