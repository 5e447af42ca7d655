import type { IncomingMessage } from 'node:http'
import type { Task } from '../../core/task.ts'
import { DownloadFailed } from './errors.ts'

export interface DownloadRequest {
  readonly url: string
  /** Answers "unchanged" when this is still what is there. */
  readonly known?: Validators | undefined
}

/** What a server said by which a later answer can be compared. */
export interface Validators {
  readonly etag: string | undefined
  readonly lastModified: string | undefined
}

export type Download =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'content'; readonly validators: Validators; readonly contentType: string; readonly bytes: AsyncIterable<Uint8Array> }

const maxRedirects = 10
const stallMs = 60_000

/**
 * Fetches what is at an address, through the proxy the environment names. Redirects are followed, except from https to
 * http. The content is consumed or its iterator returned by the caller.
 * @throws {DownloadFailed}
 */
export async function download(request: DownloadRequest, task: Task): Promise<Download> {
  let url = parseUrl(request.url)
  for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
    const response = await send(url, request.known, task)
    const status = response.statusCode ?? 0
    if (status === 304) {
      response.resume()
      return { kind: 'unchanged' }
    }
    if (status === 200) {
      const { etag, 'last-modified': lastModified, 'content-type': contentType = '' } = response.headers
      return { kind: 'content', validators: { etag, lastModified }, contentType, bytes: readBody(response, url, task) }
    }
    response.resume()
    const location = response.headers.location
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) throw new DownloadFailed(shown(url), `it answers ${status} ${response.statusMessage ?? ''}`.trim())
    const next = parseUrl(location, url)
    if (url.protocol === 'https:' && next.protocol !== 'https:') throw new DownloadFailed(shown(url), `it leads to "${shown(next)}", which is not encrypted`)
    url = next
  }
  throw new DownloadFailed(shown(url), `it leads on more than ${maxRedirects} times`)
}

/** An address without what could log in. */
export function shownUrl(text: string): string {
  return shown(parseUrl(text))
}

function shown(url: URL): string {
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  return bare.href
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href)
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new DownloadFailed(text.replace(/\/\/[^/@]*@/u, '//'), 'it is no address of http or https')
}

async function send(url: URL, known: Validators | undefined, task: Task): Promise<IncomingMessage> {
  const isSecure = url.protocol === 'https:'
  const { request, Agent } = isSecure ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http')
  const ca = isSecure ? { ca: readCertificates() } : {}
  const headers = {
    'user-agent': 'tsbuild',
    'accept-encoding': 'identity',
    ...(known?.etag === undefined ? {} : { 'if-none-match': known.etag }),
    ...(known?.lastModified === undefined || known.etag !== undefined ? {} : { 'if-modified-since': known.lastModified }),
  }
  const agent = new Agent({ proxyEnv: process.env, ...ca })
  return new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(url, { agent, headers, signal: task.signal, timeout: stallMs }, resolve)
    sent.on('timeout', () => sent.destroy(new DownloadFailed(shown(url), `it says nothing for ${stallMs / 1000} s`)))
    sent.on('error', (error) => { reject(task.signal.aborted ? task.signal.reason as Error : explain(url, error)) })
    sent.end()
  })
}

function readCertificates(): string[] {
  const { getCACertificates } = process.getBuiltinModule('node:tls')
  return [...getCACertificates('default'), ...getCACertificates('system')]
}

async function* readBody(response: IncomingMessage, url: URL, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
  const expected = response.headers['content-length']
  let received = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      received += chunk.length
      yield chunk
    }
  } catch (error) {
    task.signal.throwIfAborted()
    throw explain(url, error)
  }
  if (expected !== undefined && Number(expected) !== received) throw new DownloadFailed(shown(url), `it gives ${received} of ${expected} bytes`)
}

function explain(url: URL, error: unknown): unknown {
  if (error instanceof DownloadFailed) return error
  return new DownloadFailed(shown(url), error instanceof Error ? error.message : 'it cannot be reached', { cause: error })
}
