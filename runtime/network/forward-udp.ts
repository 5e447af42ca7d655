import type { Socket } from 'node:dgram'
import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { Forward, Forwarder } from './forwarder.ts'
import { refuseToListen } from './forwarder.ts'

/** For how long a client that nothing comes from or goes to keeps its way to the container: Docker's. */
const idleMs = 90_000

/** Every client has a socket of its own towards the container, so that answers find back. @throws {NetworkUnavailable} */
export async function forwardUdp(forward: Forward): Promise<Forwarder> {
  const server = createSocket(isIPv6(forward.address) ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' })
  const clients = new Map<string, Client>()
  const drop = (key: string): void => {
    const client = clients.get(key)
    if (client === undefined) return
    clients.delete(key)
    clearTimeout(client.idle)
    client.socket.close()
  }
  const add = (key: string, port: number, address: string): Client => {
    const socket = createSocket('udp4')
    const client = { socket, idle: setTimeout(() => { drop(key) }, idleMs).unref() }
    clients.set(key, client)
    socket.on('message', (bytes) => {
      client.idle.refresh()
      server.send(bytes, port, address)
    })
    // Nobody listens there: datagrams are lost, as on any network.
    socket.on('error', () => { drop(key) })
    return client
  }
  await listen(server, forward)
  // An answer that cannot be sent is lost, as on any network.
  server.on('error', () => undefined)
  server.on('message', (bytes, { port, address }) => {
    const key = `${address} ${port}`
    const client = clients.get(key) ?? add(key, port, address)
    client.idle.refresh()
    client.socket.send(bytes, forward.target.port, forward.target.host)
  })
  return {
    close: () => new Promise((resolve) => {
      for (const key of [...clients.keys()]) drop(key)
      server.close(() => { resolve() })
    }),
  }
}

interface Client {
  readonly socket: Socket
  readonly idle: NodeJS.Timeout
}

function listen(server: Socket, forward: Forward): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => { reject(refuseToListen(forward, 'udp', error)) })
    server.bind({ port: forward.port, address: forward.address, exclusive: true }, () => { resolve() })
  })
}
