import type * as Http from 'node:http'
import type { Agent, AgentOptions } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Proxy } from '../config/proxies.ts'
import { RegistryUnreachable } from '../errors.ts'
import { describeFailure, stalled } from './failure.ts'

/** How every request begins: what it consists of besides its body, and what ends it on its way to a connection. */
export interface RequestHead { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly signal?: AbortSignal }
export type StartRequest = (url: URL, head: RequestHead) => Http.ClientRequest

/** Starts requests without TLS that the proxy passes on. @see RFC 9112, 3.2.2 */
export function startPassedOn(proxy: Proxy): StartRequest {
  const { module, address } = proxyModule(proxy)
  const agent = new module.Agent({ keepAlive: true })
  return (url, head) => module.request({
    ...head, ...address, agent,
    path: url.href,
    headers: { ...head.headers, host: url.host, ...authorization(proxy) },
  })
}

/** An agent whose connections to a host lead through the proxy, which sees nothing of what is said over TLS. */
export function tunnelAgent(proxy: Proxy, settings: AgentOptions, connectMs: number): Agent {
  const https = process.getBuiltinModule('node:https')
  const agent = new https.Agent(settings)
  const secure = agent.createConnection.bind(agent)
  agent.createConnection = (options, created) => {
    const done = created ?? ((): undefined => undefined)
    const { signal } = options as { readonly signal?: AbortSignal }
    // The authorities that may vouch for the host may vouch for the proxy; that the host is not checked is no word on the proxy.
    const { ca } = settings
    openTunnel(proxy, { host: `${options.host ?? ''}:${options.port ?? 443}`, connectMs, signal, tls: ca === undefined ? {} : { ca } }).then(
      (socket) => { done(null, secure(overSocket(options, socket)) as Duplex) },
      (error: unknown) => { (done as (failure: unknown) => void)(error) },
    )
    return undefined
  }
  return agent
}

/** The agent passes all options on to `tls.connect`, which takes a connection that is there already. */
function overSocket<Options extends object>(options: Options, socket: Socket): Options {
  return { ...options, socket }
}

interface Tunnel { readonly host: string; readonly connectMs: number; readonly signal: AbortSignal | undefined; readonly tls: Pick<AgentOptions, 'ca'> }

/** @throws {RegistryUnreachable} @see RFC 9110, 9.3.6 */
function openTunnel(proxy: Proxy, { host, connectMs, signal, tls }: Tunnel): Promise<Socket> {
  const { module, address } = proxyModule(proxy)
  return new Promise((resolve, reject) => {
    const request = module.request({ ...address, ...tls, agent: false, method: 'CONNECT', path: host, headers: { host, ...authorization(proxy) }, ...(signal === undefined ? {} : { signal }) })
    const timer = setTimeout(() => request.destroy(stalled(host, `the proxy "${proxy.url.host}" did not connect us`, connectMs)), connectMs)
    request.once('error', (error) => {
      clearTimeout(timer)
      reject(error instanceof RegistryUnreachable ? error : proxyFailure(proxy, host, error))
    })
    request.once('connect', (response, socket, head) => {
      clearTimeout(timer)
      if (response.statusCode !== 200) {
        socket.destroy()
        reject(proxyRefusal(proxy, host, response.statusCode ?? 0))
        return
      }
      if (head.byteLength > 0) socket.unshift(head)
      resolve(socket)
    })
    request.end()
  })
}

/** Both modules have all that is used here. */
function proxyModule({ url }: Proxy): { module: Pick<typeof Http, 'request'> & { Agent: new (options: Http.AgentOptions) => Http.Agent }; address: { host: string; port: string } } {
  const isSecure = url.protocol === 'https:'
  const address = { host: url.hostname.replace(/^\[|\]$/gu, ''), port: url.port === '' ? (isSecure ? '443' : '80') : url.port }
  return { module: isSecure ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http'), address }
}

function authorization({ authorization: secret }: Proxy): Record<string, string> {
  return secret === undefined ? {} : { 'proxy-authorization': secret.reveal() }
}

/** The way to `host` ended at the proxy. */
export function proxyFailure(proxy: Proxy, host: string, error: unknown): RegistryUnreachable {
  const { detail, isTransient } = describeFailure(error, host)
  return new RegistryUnreachable(host, { reason: 'proxy', detail, isTransient, text: `the way there leads through the proxy "${proxy.url.host}", which cannot be used (${detail})` })
}

/** The proxy answered for itself. */
export function proxyRefusal(proxy: Proxy, host: string, status: number): RegistryUnreachable {
  const advice = status === 407
    ? `the proxy "${proxy.url.host}" wants ${proxy.authorization === undefined ? 'a' : 'another'} username and password: HTTPS_PROXY=http://USER:PASSWORD@${proxy.url.host}`
    : `the proxy "${proxy.url.host}" answered ${status}; to go there directly, add the host to NO_PROXY`
  return new RegistryUnreachable(host, { reason: 'proxy', detail: String(status), text: advice, isTransient: status >= 500 })
}
