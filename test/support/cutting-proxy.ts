/** A TCP proxy on a free port that cuts connections after so many bytes in one direction. */
import type { Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

export interface CuttingProxy extends AsyncDisposable {
  readonly host: string
  /** Bytes let through towards the server and back. */
  readonly passed: { sentBytes: number; receivedBytes: number }
  /** How many connections were cut. */
  cuts: number
}

export async function startCuttingProxy(target: string, limit: { direction: 'sent' | 'received'; bytes: number; times: number }): Promise<CuttingProxy> {
  const [hostname = '', port = ''] = target.split(':')
  const sockets = new Set<Socket>()
  const passed = { sentBytes: 0, receivedBytes: 0 }
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => sockets.delete(socket))
    }
    const pass = (direction: 'sent' | 'received', [from, to]: readonly [Socket, Socket]): void => {
      let count = 0
      from.on('data', (chunk: Buffer) => {
        count += chunk.byteLength
        passed[`${direction}Bytes`] += chunk.byteLength
        if (direction === limit.direction && count > limit.bytes && proxy.cuts < limit.times) {
          proxy.cuts += 1
          // A reset towards the reader would also take back what has been let through and not been read yet.
          if (direction === 'sent') client.resetAndDestroy()
          else client.end()
          upstream.destroy()
        } else if (!to.write(chunk)) {
          from.pause()
          to.once('drain', () => from.resume())
        }
      })
      from.on('end', () => to.end())
    }
    pass('sent', [client, upstream])
    pass('received', [upstream, client])
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: CuttingProxy = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    cuts: 0,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return proxy
}
