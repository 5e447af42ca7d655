import type { Server, Socket } from 'node:net'
import { createConnection, createServer } from 'node:net'
import type { Forward, Forwarder } from './forwarder.ts'
import { refuseToListen } from './forwarder.ts'

/** @throws {NetworkUnavailable} */
export async function forwardTcp(forward: Forward): Promise<Forwarder> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const inner = createConnection({ ...forward.target, allowHalfOpen: true })
    for (const [one, other] of [[client, inner], [inner, client]] as const) {
      keep(one)
      // A side that breaks takes the other one with it; there is nobody to tell.
      one.on('error', () => other.destroy())
      one.pipe(other)
    }
  })
  await listen(server, forward)
  return {
    close: () => new Promise((resolve) => {
      server.close(() => { resolve() })
      for (const socket of sockets) socket.destroy()
    }),
  }
}

function listen(server: Server, forward: Forward): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => { reject(refuseToListen(forward, 'tcp', error)) })
    // An address of version 6 is for that alone: version 4 has addresses of its own.
    server.listen({ port: forward.port, host: forward.address, ipv6Only: true }, () => { resolve() })
  })
}
