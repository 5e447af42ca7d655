/** A reverse proxy on a free port that takes a request whole before it passes it on, as nginx does. */
import type { IncomingMessage } from 'node:http'
import { createServer, request as startRequest } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface BufferingProxy extends AsyncDisposable {
  readonly host: string
  /** Bytes of bodies that came, passed on or not. */
  readonly passed: { sentBytes: number }
}

export async function startBufferingProxy(target: string): Promise<BufferingProxy> {
  const passed = { sentBytes: 0 }
  const read = async (request: IncomingMessage): Promise<Buffer> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) {
      chunks.push(chunk as Buffer)
      passed.sentBytes += (chunk as Buffer).byteLength
    }
    return Buffer.concat(chunks)
  }
  const server = createServer((request, response) => {
    read(request).then((body) => {
      const upstream = startRequest(`http://${target}${request.url ?? ''}`, { method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers)
        answer.pipe(response)
      })
      upstream.on('error', () => response.destroy())
      upstream.end(body)
    }).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
