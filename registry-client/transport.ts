import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { LookupFunction } from 'node:net'
import { isErrno } from '../core/errors.ts'
import { findCertificates } from './config/certificates.ts'
import { ForbiddenTarget, InvalidAnswer, RegistryUnreachable } from './errors.ts'
import { classifyAddress, mayLeadTo } from './http/address.ts'
import { describeFailure, isUnknownAuthority, stalled } from './http/failure.ts'
import type { Limits } from './http/limits.ts'
import { maxErrorBytes, maxInterimAnswers } from './http/limits.ts'
import type { HttpAnswer, HttpRequest, Sender, Transport } from './http/message.ts'
import type { SendWatch } from './http/outgoing-body.ts'
import { sendBody } from './http/outgoing-body.ts'
import { intoInnerNetwork } from './http/pointer.ts'
import { readWatched } from './http/watched-body.ts'

export interface TransportOptions {
  readonly limits: Limits
  readonly userAgent: string
  /** Folders with a folder of certificates for each host and port. */
  readonly certificateDirectories: readonly string[]
  /** How names become addresses; the system's way unless given. */
  readonly lookup?: LookupFunction | undefined
}

type StartRequest = (url: URL, options: RequestOptions) => ClientRequest

const forbiddenAddress = 'FORBIDDEN_ADDRESS'

/**
 * HTTP/1.1 over kept connections. Connections are kept apart by host, by whether TLS is checked and by who sent us there,
 * so nothing agreed for one (a client certificate, a trusted address) serves another.
 */
export function createTransport(options: TransportOptions): Transport {
  const connectors = new Map<string, Promise<StartRequest>>()
  const connector = (request: HttpRequest, authorities: Authorities): Promise<StartRequest> => {
    const key = [request.url.origin, request.isInsecure, request.sentBy?.home, authorities].join(' ')
    const known = connectors.get(key) ?? openConnector(request, authorities, options)
    connectors.set(key, known)
    return known
  }
  /** Origins that the configured authorities do not vouch for, and all do. */
  const needAll = new Set<string>()
  return {
    send: async (request, signal) => {
      signal.throwIfAborted()
      const { origin } = request.url
      const send = async (authorities: Authorities): Promise<HttpAnswer> => exchange(await connector(request, authorities), request, { ...options, signal })
      if (needAll.has(origin)) return send('all')
      try {
        return await send('configured')
      } catch (error) {
        if (!(error instanceof RegistryUnreachable && isUnknownAuthority(error))) throw error
        const answer = await send('all')
        needAll.add(origin)
        return answer
      }
    },
  }
}

/**
 * `all` are those of the host's folder, those that Node brings and those of the system. Reading the system's takes longer
 * than most pulls of a manifest, so they are read only when the others do not suffice.
 */
type Authorities = 'configured' | 'all'

/** Importing node:http as a module would evaluate all it exports, WebSocket included, which takes longer than a request. */
async function openConnector(request: HttpRequest, authorities: Authorities, options: TransportOptions): Promise<StartRequest> {
  const { url, sentBy } = request
  const lookup = await openLookup(options.lookup, sentBy)
  if (url.protocol === 'http:') {
    const http = process.getBuiltinModule('node:http')
    const agent = new http.Agent({ keepAlive: true })
    return (target, settings) => http.request(target, { ...settings, agent, ...lookup })
  }
  const https = process.getBuiltinModule('node:https')
  const agent = new https.Agent({ keepAlive: true, ...await tlsSettings(request, authorities, options) })
  return (target, settings) => https.request(target, { ...settings, agent, ...lookup })
}

async function tlsSettings(request: HttpRequest, authorities: Authorities, options: TransportOptions): Promise<object> {
  const found = await findCertificates(options.certificateDirectories, request.url.host)
  const client = found.client === undefined ? {} : { cert: found.client.certificate, key: found.client.key }
  if (request.isInsecure) return { ...client, rejectUnauthorized: false }
  if (authorities === 'configured') return found.authorities.length === 0 ? client : { ...client, ca: found.authorities }
  const { getCACertificates } = await import('node:tls')
  return { ...client, ca: [...found.authorities, ...getCACertificates('default'), ...getCACertificates('system')] }
}

/** A name that a registry chose must not resolve into a network the registry is not in; one bad address spoils the name. */
async function openLookup(given: LookupFunction | undefined, sentBy: Sender | undefined): Promise<{ lookup?: LookupFunction }> {
  if (sentBy === undefined) return given === undefined ? {} : { lookup: given }
  const resolve: LookupFunction = given ?? (await import('node:dns')).lookup
  return {
    lookup: (hostname, settings, done) => {
      resolve(hostname, settings, (error, address, family) => {
        const addresses = typeof address === 'string' ? [address] : address.map((entry) => entry.address)
        const isForbidden = error === null && addresses.some((each) => !mayLeadTo(classifyAddress(each), sentBy.home))
        done(isForbidden ? Object.assign(new Error(intoInnerNetwork), { code: forbiddenAddress }) : error, address, family)
      })
    },
  }
}

interface Surroundings { readonly limits: Limits; readonly userAgent: string; readonly signal: AbortSignal }

function exchange(start: StartRequest, request: HttpRequest, surroundings: Surroundings): Promise<HttpAnswer> {
  const { signal } = surroundings
  return new Promise((resolve, reject) => {
    const outgoing = start(request.url, { method: request.method, headers: requestHeaders(request, surroundings.userAgent) })
    const watch = watchRequest(outgoing, request, surroundings.limits)
    const settle = (finish: () => void): void => {
      watch.stop()
      signal.removeEventListener('abort', abort)
      finish()
    }
    const abort = (): void => {
      settle(() => { reject(signal.reason) })
      outgoing.destroy()
    }
    signal.addEventListener('abort', abort, { once: true })
    outgoing.on('error', (error) => { settle(() => { reject(explain(error, request)) }) })
    outgoing.on('response', (incoming) => {
      settle(() => { resolve(createAnswer({ incoming, outgoing }, request, surroundings)) })
    })
    // A registry can refuse an upload by its headers, before a slow source has given the first byte.
    if (request.body !== undefined) outgoing.flushHeaders()
    sendBody(outgoing, request.body, watch).then(() => { watch.sent() }, (sourceFailure: unknown) => {
      settle(() => { reject(sourceFailure) })
      outgoing.destroy()
    })
  })
}

function requestHeaders({ method, body, headers }: HttpRequest, userAgent: string): Record<string, string> {
  const isBodiless = body === undefined && (method === 'GET' || method === 'HEAD')
  return {
    'user-agent': userAgent,
    'accept-encoding': 'identity',
    ...(isBodiless ? {} : { 'content-length': String(body?.sizeBytes ?? 0) }),
    ...headers,
  }
}

interface RequestWatch extends SendWatch {
  sent(): void
  stop(): void
}

/** Destroys the request when the phase it is in (connecting, sending, awaiting the answer) takes too long. */
function watchRequest(outgoing: ClientRequest, { url, answerMs }: HttpRequest, limits: Limits): RequestWatch {
  let timer: NodeJS.Timeout | undefined
  let isConnected = false
  let isWaiting = false
  let isSent = false
  let isAnswered = false
  let interimAnswers = 0
  const start = (what: string, ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(() => outgoing.destroy(stalled(url.host, what, ms)), ms)
  }
  const enterPhase = (): void => {
    if (isAnswered || !isConnected) return
    clearTimeout(timer)
    if (isWaiting) start('it took nothing of the request', limits.idleMs)
    else if (isSent) start('no answer came', answerMs)
  }
  const connected = (): void => {
    isConnected = true
    enterPhase()
  }
  start('no connection came about', limits.connectMs)
  outgoing.once('socket', (socket) => {
    const isSecure = url.protocol === 'https:'
    if (outgoing.reusedSocket || (!isSecure && !socket.connecting)) connected()
    else socket.once(isSecure ? 'secureConnect' : 'connect', connected)
  })
  outgoing.on('information', () => {
    interimAnswers += 1
    if (interimAnswers > maxInterimAnswers) outgoing.destroy(new InvalidAnswer('read an answer', url.host, `sent more than ${maxInterimAnswers} interim answers`))
  })
  return {
    waiting: () => {
      isWaiting = true
      enterPhase()
    },
    resumed: () => {
      isWaiting = false
      enterPhase()
    },
    sent: () => {
      isSent = true
      enterPhase()
    },
    isAnswered: () => isAnswered,
    stop: () => {
      isAnswered = true
      clearTimeout(timer)
    },
  }
}

function explain(error: unknown, { url, sentBy }: HttpRequest): unknown {
  if (error instanceof InvalidAnswer) return error
  if (sentBy !== undefined && isErrno(error, forbiddenAddress)) return new ForbiddenTarget(sentBy.kind, sentBy.host, { target: url.origin, text: intoInnerNetwork })
  return describeFailure(error, url.host)
}

function createAnswer({ incoming, outgoing }: { incoming: IncomingMessage; outgoing: ClientRequest }, request: HttpRequest, { limits, signal }: Surroundings): HttpAnswer {
  const { host } = request.url
  // After an answer that came before the request was sent whole, the connection is of no more use.
  const finish = (): void => { if (!outgoing.writableFinished) outgoing.destroy() }
  const body = readWatched(incoming, {
    limits,
    signal,
    failed: (error) => describeFailure(error, host),
    stalled: (ms) => stalled(host, 'its answer did not go on', ms),
    finish,
  })
  return {
    status: incoming.statusCode ?? 0,
    header: (name) => {
      const value = incoming.headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    address: incoming.socket.remoteAddress ?? '',
    body,
    discard: async () => {
      let remaining = maxErrorBytes
      try {
        for await (const chunk of body) {
          remaining -= chunk.byteLength
          if (remaining < 0) break
        }
      } catch (error) {
        signal.throwIfAborted()
        // What was to be thrown away needs no reason for being incomplete.
        if (!(error instanceof RegistryUnreachable)) throw error
      }
    },
  }
}
