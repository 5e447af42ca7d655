/**
 * A registry in the test's own process: real HTTP on a free port, all content in memory, every request logged, and any
 * answer replaced by a scripted fault.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface LoggedRequest {
  readonly method: string
  /** Path with query, as it was sent. */
  readonly path: string
  readonly headers: IncomingMessage['headers']
  /** Grows while the body arrives. */
  bodyBytes: number
  readonly atMs: number
}

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly logged: LoggedRequest
  /** What the registry would have done. */
  readonly proceed: () => Promise<void>
}

export type Fault = (exchange: Exchange) => void | Promise<void>

export interface FaultRule {
  readonly method?: string
  readonly path: RegExp
  /** How many requests it meets before it is used up; without, all. */
  times?: number
}

export interface TestRegistry extends AsyncDisposable {
  /** 127.0.0.1 and the port. */
  readonly host: string
  readonly origin: string
  readonly log: LoggedRequest[]
  /** How many connections have come, TLS agreed on or not. */
  connections: number
  readonly blobs: Map<string, Buffer>
  /** By `repository reference`. */
  readonly manifests: Map<string, { bytes: Buffer; mediaType: string }>
  readonly uploads: Map<string, Buffer[]>
  /** The first rule that matches and is not used up decides; later rules go first. */
  on(rule: FaultRule, fault: Fault): void
  /** The requests of this method whose path matches. */
  requests(method: string, path: RegExp): LoggedRequest[]
}

export interface TlsFiles { readonly key: string; readonly cert: string; readonly ca?: string; readonly requestCert?: boolean }

export async function startRegistry(options: { tls?: TlsFiles } = {}): Promise<TestRegistry> {
  const rules: { rule: FaultRule; fault: Fault }[] = []
  const state = { blobs: new Map<string, Buffer>(), manifests: new Map<string, { bytes: Buffer; mediaType: string }>(), uploads: new Map<string, Buffer[]>() }
  const log: LoggedRequest[] = []
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const { method = '', url: path = '', headers } = request
    const logged: LoggedRequest = { method, path, headers, bodyBytes: 0, atMs: performance.now() }
    log.push(logged)
    const url = new URL(path, 'http://registry.invalid')
    const proceed = (): Promise<void> => serve({ request, response, url, logged }, state)
    const found = rules.findLast(({ rule }) => (rule.method ?? method) === method && rule.path.test(path) && rule.times !== 0)
    if (found?.rule.times !== undefined) found.rule.times -= 1
    Promise.resolve(found === undefined ? proceed() : found.fault({ request, response, url, logged, proceed })).catch(() => response.destroy())
  }
  const server: Server = options.tls === undefined ? createServer(listener) : createTlsServer({ ...options.tls, rejectUnauthorized: options.tls.requestCert === true }, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const host = `127.0.0.1:${port}`
  const registry: TestRegistry = {
    host, log, connections: 0, ...state,
    origin: `${options.tls === undefined ? 'http' : 'https'}://${host}`,
    on: (rule, fault) => { rules.push({ rule: { ...rule }, fault }) },
    requests: (method, path) => log.filter((entry) => entry.method === method && path.test(entry.path)),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  server.on('connection', () => { registry.connections += 1 })
  return registry
}

type State = Pick<TestRegistry, 'blobs' | 'manifests' | 'uploads'>
type Served = Omit<Exchange, 'proceed'>

async function serve(served: Served, state: State): Promise<void> {
  const { pathname } = served.url
  if (pathname === '/v2/') {
    reply(served.response, { status: 200 })
    return
  }
  const [, repository = '', kind = '', rest = ''] = /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs)\/(.*)$/u.exec(pathname) ?? []
  if (kind === 'manifests') await serveManifest(served, { repository, reference: rest }, state)
  else if (kind === 'blobs') serveBlob(served, rest, state)
  else if (kind === 'blobs/uploads') await serveUpload(served, { repository, id: rest }, state)
  else reply(served.response, { status: 404 })
}

async function serveManifest({ request, response, logged }: Served, { repository, reference }: { repository: string; reference: string }, { manifests }: State): Promise<void> {
  if (request.method === 'PUT') {
    const bytes = await readBody(request, logged)
    const stored = { bytes, mediaType: request.headers['content-type'] ?? '' }
    for (const key of [reference, digestOf(bytes)]) manifests.set(`${repository} ${key}`, stored)
    reply(response, { status: 201, headers: { 'docker-content-digest': digestOf(bytes), location: `/v2/${repository}/manifests/${digestOf(bytes)}` } })
    return
  }
  const found = manifests.get(`${repository} ${reference}`)
  if (found === undefined) refuse(response, 404, 'MANIFEST_UNKNOWN')
  else if (request.method === 'DELETE') {
    manifests.delete(`${repository} ${reference}`)
    reply(response, { status: 202 })
  }
  else reply(response, { status: 200, headers: { 'content-type': found.mediaType, 'docker-content-digest': digestOf(found.bytes) }, body: found.bytes })
}

function serveBlob({ request, response }: Served, digest: string, { blobs }: State): void {
  const blob = blobs.get(digest)
  if (blob === undefined) {
    refuse(response, 404, 'BLOB_UNKNOWN')
    return
  }
  if (request.method === 'DELETE') {
    blobs.delete(digest)
    reply(response, { status: 202 })
    return
  }
  const start = Number(/^bytes=(\d+)-\d+$/u.exec(request.headers.range ?? '')?.[1] ?? Number.NaN)
  if (Number.isNaN(start)) reply(response, { status: 200, headers: { 'docker-content-digest': digest }, body: blob })
  else if (start >= blob.byteLength) reply(response, { status: 416 })
  else reply(response, { status: 206, headers: { 'content-range': `bytes ${start}-${blob.byteLength - 1}/${blob.byteLength}` }, body: blob.subarray(start) })
}

async function serveUpload(served: Served, { repository, id }: { repository: string; id: string }, { blobs, uploads }: State): Promise<void> {
  const { request, response, url, logged } = served
  const location = (session: string): string => `/v2/${repository}/blobs/uploads/${session}?_state=a%2Bb&x`
  if (request.method === 'POST') {
    const mounted = url.searchParams.get('mount')
    if (mounted !== null && blobs.has(mounted)) {
      reply(response, { status: 201, headers: { location: `/v2/${repository}/blobs/${mounted}` } })
      return
    }
    const session = randomUUID()
    uploads.set(session, [])
    reply(response, { status: 202, headers: { location: location(session), range: '0-0' } })
    return
  }
  const parts = uploads.get(id)
  if (parts === undefined) {
    refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN')
    return
  }
  if (request.method !== 'GET') for await (const chunk of request) addPart(parts, chunk as Buffer, logged)
  const size = parts.reduce((sum, part) => sum + part.byteLength, 0)
  if (request.method !== 'PUT') {
    reply(response, { status: request.method === 'GET' ? 204 : 202, headers: { location: location(id), range: `0-${Math.max(0, size - 1)}` } })
    return
  }
  const blob = Buffer.concat(parts)
  const wanted = url.searchParams.get('digest') ?? ''
  if (digestOf(blob) !== wanted) {
    refuse(response, 400, 'DIGEST_INVALID')
    return
  }
  uploads.delete(id)
  blobs.set(wanted, blob)
  reply(response, { status: 201, headers: { location: `/v2/${repository}/blobs/${wanted}`, 'docker-content-digest': wanted } })
}

function addPart(parts: Buffer[], chunk: Buffer, logged: LoggedRequest): void {
  logged.bodyBytes += chunk.byteLength
  parts.push(chunk)
}

async function readBody(request: IncomingMessage, logged: LoggedRequest): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of request) addPart(parts, chunk as Buffer, logged)
  return Buffer.concat(parts)
}

export function reply(response: ServerResponse, { status, headers = {}, body = '' }: { status: number; headers?: Record<string, string>; body?: Buffer | string }): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers })
  response.end(body)
}

function refuse(response: ServerResponse, status: number, code: string): void {
  reply(response, { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] }) })
}

export function digestOf(bytes: Buffer | Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Answers so, with a body read to its end first, as servers do that keep their connections. */
export function answer(status: number, headers: Record<string, string> = {}, body: Buffer | string = ''): Fault {
  return async ({ request, response }) => {
    for await (const chunk of request) if (!(chunk instanceof Buffer)) throw new TypeError('a request body is bytes')
    reply(response, { status, headers, body })
  }
}

/** Says nothing, for ever. */
export const silence: Fault = () => undefined

/** Sends bytes as they are, status line and all, and closes the connection unless told to keep it. */
export function raw(text: string | Buffer, options: { keepOpen?: boolean } = {}): Fault {
  return ({ response }) => {
    response.socket?.write(text)
    if (options.keepOpen !== true) response.socket?.end()
  }
}

/** Promises the whole body and breaks the connection after `count` bytes of it. */
export function cutAfter(count: number, bytes: Buffer, how: 'reset' | 'fin' = 'reset'): Fault {
  return ({ request, response }) => {
    const start = Number(/^bytes=(\d+)-\d+$/u.exec(request.headers.range ?? '')?.[1] ?? 0)
    const part = bytes.subarray(start)
    response.writeHead(start === 0 ? 200 : 206, { 'content-length': part.byteLength, ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${bytes.byteLength - 1}/${bytes.byteLength}` }) })
    response.flushHeaders()
    response.write(part.subarray(0, count), () => setTimeout(() => {
      if (how === 'reset') response.socket?.resetAndDestroy()
      else response.socket?.end()
    }, 5))
  }
}

/** Cuts the connection at one of the requests, counted from 1, and answers the others. */
export function cutAt(number: number): Fault {
  let count = 0
  return async ({ request, proceed }) => {
    count += 1
    if (count === number) request.socket.destroy()
    else await proceed()
  }
}

/** Wants uploads in pieces of so many bytes at least. */
export function wantPieces(leastBytes: number): Fault {
  return async ({ response, proceed }) => {
    response.setHeader('oci-chunk-min-length', String(leastBytes))
    await proceed()
  }
}
