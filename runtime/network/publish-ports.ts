import type { Server, Socket } from 'node:net'
import { createConnection, createServer } from 'node:net'
import { isErrno } from '../../core/errors.ts'
import type { Network } from '../container-spec.ts'
import { NetworkUnavailable } from '../errors.ts'

/** A TCP port of the host that leads to one of a container. */
export interface PublishedPort {
  /** IP address to listen on. */
  readonly address: string
  readonly hostPort: number
  readonly containerPort: number
}

/**
 * Passes connections on to the container, in this process: no rule outlives it. The container sees the bridge's address as the
 * peer. Returns when all ports listen; closing breaks the connections.
 * @throws {NetworkUnavailable}
 */
export async function publishPorts(ports: readonly PublishedPort[], network: Network): Promise<AsyncDisposable> {
  if (ports.length > 0 && network.mode !== 'bridge') throw new NetworkUnavailable(network.mode, 'ports can be published from the bridge only')
  const target = network.mode === 'bridge' ? network.port.address : ''
  const open: Forwarder[] = []
  const close = async (): Promise<void> => { for (const forwarder of open) await forwarder.close() }
  try {
    for (const port of ports) open.push(await forward(port, target))
  } catch (error) {
    await close()
    throw error
  }
  return { [Symbol.asyncDispose]: close }
}

interface Forwarder {
  close(): Promise<void>
}

async function forward({ address, hostPort, containerPort }: PublishedPort, target: string): Promise<Forwarder> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const inner = createConnection({ host: target, port: containerPort, allowHalfOpen: true })
    for (const [one, other] of [[client, inner], [inner, client]] as const) {
      keep(one)
      // A side that breaks takes the other one with it; there is nobody to tell.
      one.on('error', () => other.destroy())
      one.pipe(other)
    }
  })
  await listen(server, address, hostPort)
  return {
    close: () => new Promise((resolve) => {
      server.close(() => { resolve() })
      for (const socket of sockets) socket.destroy()
    }),
  }
}

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(isErrno(error, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL') ? new NetworkUnavailable('bridge', `cannot listen on ${address}:${port}: ${error.code}`, { cause: error }) : error)
    })
    server.listen(port, address, () => { resolve() })
  })
}
