/** A forward proxy in the test's own process: every name leads to this machine, every request is logged, answers can be replaced. */
import type { IncomingMessage, Server } from 'node:http'
import { createServer, request as startRequest } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TlsFiles } from './registry.ts'

export interface ForwardProxy extends AsyncDisposable {
  readonly url: string
  /** `METHOD target`, as the proxy was sent it. */
  readonly log: { readonly request: string; readonly authorization: string | undefined }[]
  /** Instead of connecting: what is written to the client's socket, which is then closed unless nothing is written. */
  refuse: ((socket: Duplex) => void) | undefined
}

export async function startForwardProxy(options: { tls?: TlsFiles } = {}): Promise<ForwardProxy> {
  const sockets = new Set<Duplex>()
  const keep = (socket: Duplex): void => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  const server: Server = options.tls === undefined ? createServer() : createTlsServer(options.tls)
  const note = ({ method = '', url = '', headers }: IncomingMessage): void => {
    proxy.log.push({ request: `${method} ${url}`, authorization: headers['proxy-authorization'] })
  }
  server.on('connection', (socket: Socket) => { keep(socket) })
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    note(request)
    keep(socket)
    if (proxy.refuse !== undefined) {
      proxy.refuse(socket)
      return
    }
    const upstream = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(upstream).pipe(socket)
    })
    keep(upstream)
  })
  server.on('request', (request, response) => {
    note(request)
    if (proxy.refuse !== undefined) {
      proxy.refuse(request.socket)
      return
    }
    const url = new URL(request.url ?? '')
    const { 'proxy-authorization': _, ...headers } = request.headers
    const upstream = startRequest({ host: '127.0.0.1', port: url.port, method: request.method, path: url.pathname + url.search, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(response)
    })
    upstream.on('error', () => response.destroy())
    request.pipe(upstream)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: ForwardProxy = {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    log: [],
    refuse: undefined,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return proxy
}
