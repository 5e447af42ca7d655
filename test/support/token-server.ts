/** A token service in the test's own process: gives out tokens, logs who asked for what, and knows which are still good. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Fault, TlsFiles } from './registry.ts'
import { reply } from './registry.ts'

export interface TokenQuestion {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly service: string | null
  readonly scopes: readonly string[]
  /** The form of a POST. */
  readonly form: URLSearchParams
}

export interface TokenServer extends AsyncDisposable {
  readonly host: string
  readonly realm: string
  readonly log: TokenQuestion[]
  /** Makes the answer; without, a new token that is good until revoked. */
  answer: (question: TokenQuestion, response: ServerResponse) => void
  /** A token that `guard` lets pass. */
  issue(): string
  revokeAll(): void
  /** A fault for a registry: lets requests with a good token pass and sends others here. */
  guard(challenge?: { service?: string; scope?: string }): Fault
}

export async function startTokenServer(options: { tls?: TlsFiles } = {}): Promise<TokenServer> {
  const good = new Set<string>()
  const log: TokenQuestion[] = []
  let issued = 0
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    readQuestion(request).then((question) => {
      log.push(question)
      tokens.answer(question, response)
    }).catch(() => response.destroy())
  }
  const server: Server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const host = `127.0.0.1:${port}`
  const realm = `${options.tls === undefined ? 'http' : 'https'}://${host}/token`
  const issue = (): string => {
    const token = `token-${String(issued += 1)}`
    good.add(token)
    return token
  }
  const tokens: TokenServer = {
    host, realm, log, issue,
    answer: (_, response) => { reply(response, { status: 200, body: JSON.stringify({ token: issue(), expires_in: 300 }) }) },
    revokeAll: () => { good.clear() },
    guard: ({ service = 'registry.test', scope } = {}) => async ({ request, response, proceed }) => {
      if (good.has(request.headers.authorization?.replace(/^Bearer /u, '') ?? '')) {
        await proceed()
        return
      }
      for await (const chunk of request) if (!(chunk instanceof Buffer)) throw new TypeError('a request body is bytes')
      reply(response, { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}",service="${service}"${scope === undefined ? '' : `,scope="${scope}"`}` } })
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return tokens
}

async function readQuestion(request: IncomingMessage): Promise<TokenQuestion> {
  const url = new URL(request.url ?? '', 'http://token.invalid')
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const form = new URLSearchParams(Buffer.concat(chunks).toString())
  return {
    method: request.method ?? '',
    path: url.pathname,
    authorization: request.headers.authorization,
    service: url.searchParams.get('service') ?? form.get('service'),
    scopes: [...url.searchParams.getAll('scope'), ...form.getAll('scope')],
    form,
  }
}
