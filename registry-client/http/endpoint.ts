import type { Task } from '../../core/task.ts'
import type { Credential } from '../config/credential-file.ts'
import { AccessDenied, ForbiddenTarget, RegistryUnreachable, UnexpectedStatus } from '../errors.ts'
import { dockerHub } from '../reference.ts'
import type { AddressClass } from './address.ts'
import { classifyAddress } from './address.ts'
import type { Authenticator } from './authenticator.ts'
import { createAuthenticator } from './authenticator.ts'
import type { Limits } from './limits.ts'
import { maxRedirects } from './limits.ts'
import { distantAddress } from './connector.ts'
import type { HttpAnswer, HttpRequest, Method, RequestBody, Sender, Transport, Trust } from './message.ts'
import { followPointer } from './pointer.ts'
import { readRefusal } from './refusal.ts'
import type { Pacing } from './retry.ts'
import { persist } from './retry.ts'
import { createShared } from './shared.ts'

/** One request to a registry, with all it takes to get an answer. */
export interface Call {
  /** What it is for, `read manifest "…"`: error messages begin with it. */
  readonly what: string
  readonly method: Method
  /** A path with query, or the URL of an upload that the registry gave. */
  readonly target: string | URL
  readonly scopes: readonly string[]
  /** The statuses that are an answer; any other is an error. */
  readonly expect: readonly number[]
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: RequestBody
  /** How often to try, where it is not the usual number. */
  readonly attempts?: number
  readonly answerMs?: number
}

/** An answer, and where it came from. */
export interface Reply extends HttpAnswer {
  /** The registry's own address that the request was sent to first. */
  readonly url: URL
  /** Who sent the answer: the registry, or the host it redirected to. */
  readonly host: string
  readonly isOwn: boolean
}

export interface EndpointOptions {
  /** As in a reference: host with optional port. */
  readonly host: string
  readonly trust: Trust
  readonly transport: Transport
  readonly limits: Limits
  readonly pacing: Pacing
  readonly findCredential: (task: Task) => Promise<Credential | undefined>
  /** How far where an address leads is to be trusted. */
  readonly trustOf: (url: URL) => Trust
}

/** One registry server: requests to it are authorised, redirected within bounds, repeated when that may help. */
export interface Endpoint {
  readonly host: string
  send(call: Call, task: Task): Promise<Reply>
  /** The URL of a Location header that must stay with the registry itself. @throws {ForbiddenTarget} */
  ownLocation(reply: Reply): URL
}

interface Connection {
  readonly options: EndpointOptions
  readonly authenticator: Authenticator
  readonly openOrigin: (task: Task) => Promise<Origin>
  /** How far the registry's address reaches, known from its first answer on. */
  home: AddressClass
}

interface Authorized { readonly url: URL; readonly trust: Trust; readonly authorization: string | undefined }

const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308]

export function createEndpoint(options: EndpointOptions): Endpoint {
  const { host, limits, pacing } = options
  const own = [originOf('https', options), originOf('http', options)]
  const trustOf = (url: URL): Trust => (own.includes(url.origin) ? options.trust : options.trustOf(url))
  const connection: Connection = { options, authenticator: createAuthenticator({ ...options, trustOf }), openOrigin: originOpener(options), home: 'public' }
  return {
    host,
    send: (call, task) => {
      const attempts = call.attempts ?? limits.attempts
      return persist(() => sendOnce(connection, call, task), { origin: host, attempts, limits, pacing }, task.signal)
    },
    ownLocation: (reply) => {
      const sentBy: Sender = { kind: 'upload location', host, home: connection.home }
      const location = followPointer({ text: reply.header('location') ?? '', from: reply.url, sentBy })
      if (reply.isOwn && location.origin === reply.url.origin) return location
      throw new ForbiddenTarget('upload location', host, { target: location.origin, text: 'uploads go to the registry itself or nowhere' })
    },
  }
}

async function sendOnce(connection: Connection, call: Call, task: Task): Promise<Reply> {
  const { authenticator, options: { host } } = connection
  const { origin, trust } = await connection.openOrigin(task)
  const url = new URL(call.target, origin)
  if (url.origin !== origin) throw new ForbiddenTarget('upload location', host, { target: url.origin, text: 'uploads go to the registry itself or nowhere' })
  const authorization = await authenticator.prepare(call.scopes, task)
  const first = await follow(connection, { call, first: { url, trust, authorization } }, task)
  // Only the registry itself is shown who we are; a host it redirected to may refuse us as it likes.
  if (first.status !== 401 || !first.isOwn) return accept(first, call, authenticator)
  await first.discard()
  const refused = { header: first.header('www-authenticate'), url, sentBy: { host, home: connection.home }, sent: authorization }
  const second = await follow(connection, { call, first: { url, trust, authorization: await authenticator.answer(refused, call, task) } }, task)
  return accept(second, call, authenticator)
}

async function accept(reply: Reply, call: Call, authenticator: Authenticator): Promise<Reply> {
  if (call.expect.includes(reply.status)) return reply
  const { status, host } = reply
  const { codes, text, retryAfterMs } = await readRefusal(reply, authenticator.secrets())
  if ((status === 401 || status === 403) && reply.isOwn) {
    throw new AccessDenied(call.what, host, { hasCredentials: authenticator.hasCredentials(), text: `answered ${text}` })
  }
  throw new UnexpectedStatus(call.what, { host, status, registryCodes: codes, text, retryAfterMs })
}

/** Credentials go to the first URL's origin; once a redirect has left it they stay behind for good. */
async function follow(connection: Connection, { call, first }: { call: Call; first: Authorized }, task: Task): Promise<Reply> {
  const { options: { host, transport } } = connection
  const isReading = call.method === 'GET' || call.method === 'HEAD'
  let { url, authorization } = first
  for (let hops = 0; ; hops += 1) {
    const isOwn = url.origin === first.url.origin
    const answer = await transport.send(toRequest(connection, call, { url, trust: first.trust, authorization, isOwn }), task.signal)
    // What is behind a proxy could be anywhere; it may lead to where everybody may.
    if (isOwn) connection.home = answer.address === undefined ? 'public' : classifyAddress(answer.address)
    if (!redirectStatuses.includes(answer.status)) return { ...answer, url: first.url, host: url.host, isOwn }
    await answer.discard()
    if (!isReading) throw new ForbiddenTarget('redirect', host, { target: '', text: `a ${call.method} request is not sent elsewhere` })
    if (hops === maxRedirects) throw new ForbiddenTarget('redirect', host, { target: '', text: `it comes after ${maxRedirects} others` })
    url = followPointer({ text: answer.header('location') ?? '', from: url, sentBy: { kind: 'redirect', host, home: connection.home } })
    if (url.origin !== first.url.origin) authorization = undefined
  }
}

function toRequest({ options, home }: Connection, call: Call, { url, trust, authorization, isOwn }: Authorized & { isOwn: boolean }): HttpRequest {
  return {
    method: call.method,
    url,
    headers: { ...call.headers, ...(authorization === undefined ? {} : { authorization }) },
    body: call.body,
    trust: isOwn ? trust : options.trustOf(url),
    sentBy: isOwn ? undefined : { kind: 'redirect', host: options.host, home },
    answerMs: call.answerMs ?? options.limits.answerMs,
  }
}

/** How a registry is spoken to. */
interface Origin { readonly origin: string; readonly trust: Trust }

function originOpener(options: EndpointOptions): (task: Task) => Promise<Origin> {
  const share = createShared<Origin>()
  const secure: Origin = { origin: originOf('https', options), trust: 'checked' }
  let found = options.trust === 'checked' ? secure : undefined
  return async (task) => {
    found ??= await share('', () => probeOrigin(options, secure, task), task.signal)
    return found
  }
}

/** As URLs have it: in small letters, and without the scheme's own port. */
function originOf(scheme: 'https' | 'http', { host }: EndpointOptions): string {
  return new URL(`${scheme}://${apiHost(host)}`).origin
}

/** Docker Hub's API is not at the host its images are named after. */
function apiHost(host: string): string {
  return host === dockerHub ? 'registry-1.docker.io' : host
}

/** How a registry is to be spoken to that may be spoken to without TLS: with TLS if it has it. */
async function probeOrigin(options: EndpointOptions, secure: Origin, task: Task): Promise<Origin> {
  const { transport, trust } = options
  try {
    const hasTls = await transport.speaksTls({ url: new URL(secure.origin), trust }, task.signal) ?? await answersTls(secure.origin, options, task)
    return { origin: hasTls ? secure.origin : originOf('http', options), trust }
  } catch (error) {
    // `localhost` that is elsewhere is a registry as any other.
    if (error instanceof RegistryUnreachable && error.detail === distantAddress) return secure
    throw error
  }
}

/** Asked through a proxy; the question carries no credentials. */
async function answersTls(origin: string, { transport, limits, trust }: EndpointOptions, task: Task): Promise<boolean> {
  try {
    const answer = await transport.send({ method: 'GET', url: new URL('/v2/', origin), headers: {}, body: undefined, trust, sentBy: undefined, answerMs: limits.answerMs }, task.signal)
    await answer.discard()
    return true
  } catch (error) {
    // A proxy may let nobody through to the port, or the server speak plain http: that remains to be tried.
    if (error instanceof RegistryUnreachable && (error.reason === 'plain-http' || error.reason === 'proxy' || error.reason === 'reset')) return false
    throw error
  }
}
