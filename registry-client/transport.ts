import type { ClientRequest, IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import { isErrno } from '../core/errors.ts'
import type { Proxy, ProxyChoice } from './config/proxies.ts'
import { ForbiddenTarget, InvalidAnswer, RegistryUnreachable } from './errors.ts'
import type { Authorities, Connector } from './http/connector.ts'
import { forbiddenAddress, openConnector, openLookup } from './http/connector.ts'
import { describeFailure, isUnknownAuthority, stalled } from './http/failure.ts'
import type { Limits } from './http/limits.ts'
import { maxErrorBytes, maxInterimAnswers } from './http/limits.ts'
import type { HttpAnswer, HttpRequest, Transport } from './http/message.ts'
import type { SendWatch } from './http/outgoing-body.ts'
import { sendBody } from './http/outgoing-body.ts'
import { intoInnerNetwork } from './http/pointer.ts'
import { proxyFailure, proxyRefusal } from './http/proxied.ts'
import { speaksTls } from './http/tls-greeting.ts'
import { readWatched } from './http/watched-body.ts'

export interface TransportOptions {
  readonly limits: Limits
  readonly userAgent: string
  /** Folders with a folder of certificates for each host and port. */
  readonly certificateDirectories: readonly string[]
  readonly proxies: ProxyChoice
  /** How names become addresses; the system's way unless given. */
  readonly lookup?: LookupFunction | undefined
}

/**
 * HTTP/1.1 over kept connections. Connections are kept apart by host, by how far the host is trusted and by who sent us
 * there, so nothing agreed for one (a client certificate, a trusted address) serves another.
 */
export function createTransport(options: TransportOptions): Transport {
  const connectors = new Map<string, Promise<Connector>>()
  const surroundings = { ...options, connectMs: options.limits.connectMs }
  const connector = (request: HttpRequest, authorities: Authorities): Promise<Connector> => {
    const key = [request.url.origin, request.trust, request.sentBy?.home, authorities].join(' ')
    const known = connectors.get(key) ?? openConnector(request, authorities, surroundings)
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
    speaksTls: async ({ url, trust }, signal) => {
      if (options.proxies(url) !== undefined) return undefined
      return speaksTls({ url, connectMs: options.limits.connectMs, signal, ...openLookup(options.lookup, { trust, sentBy: undefined }) })
    },
  }
}

interface Surroundings { readonly limits: Limits; readonly userAgent: string; readonly signal: AbortSignal }

function exchange({ start, proxy }: Connector, request: HttpRequest, surroundings: Surroundings): Promise<HttpAnswer> {
  const { signal } = surroundings
  return new Promise((resolve, reject) => {
    const outgoing = start(request.url, { method: request.method, headers: requestHeaders(request, surroundings.userAgent), ...(proxy === undefined ? {} : { signal }) })
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
    outgoing.on('error', (error) => { settle(() => { reject(explain(error, request, proxy)) }) })
    outgoing.on('response', (incoming) => {
      settle(() => {
        if (proxy !== undefined && incoming.statusCode === 407) reject(proxyRefusal(proxy, request.url.host, incoming.statusCode))
        else resolve(createAnswer({ incoming, outgoing }, request, { ...surroundings, proxy }))
      })
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

function explain(error: unknown, { url, sentBy }: HttpRequest, proxy: Proxy | undefined): unknown {
  if (error instanceof InvalidAnswer || error instanceof RegistryUnreachable) return error
  // What goes wrong inside a tunnel is between us and the host.
  if (proxy !== undefined && url.protocol === 'http:') return proxyFailure(proxy, url.host, error)
  if (sentBy !== undefined && isErrno(error, forbiddenAddress)) return new ForbiddenTarget(sentBy.kind, sentBy.host, { target: url.origin, text: intoInnerNetwork })
  return describeFailure(error, url.host)
}

function createAnswer({ incoming, outgoing }: { incoming: IncomingMessage; outgoing: ClientRequest }, request: HttpRequest, { limits, signal, proxy }: Surroundings & { proxy: Proxy | undefined }): HttpAnswer {
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
    address: proxy === undefined ? incoming.socket.remoteAddress : undefined,
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
