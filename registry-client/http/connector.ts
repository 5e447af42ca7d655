import type { AgentOptions } from 'node:https'
import type { LookupFunction } from 'node:net'
import { findCertificates } from '../config/certificates.ts'
import type { Proxy, ProxyChoice } from '../config/proxies.ts'
import { classifyAddress, mayLeadTo } from './address.ts'
import { readLarge } from './large-reads.ts'
import type { HttpRequest } from './message.ts'
import type { StartRequest } from './proxied.ts'
import { startPassedOn, tunnelAgent } from './proxied.ts'

/** Starts requests to one origin over connections of its own, which are kept. */
export interface Connector {
  readonly start: StartRequest
  /** What stands between us and the origin. */
  readonly proxy: Proxy | undefined
}

export interface ConnectorOptions {
  /** Folders with a folder of certificates for each host and port. */
  readonly certificateDirectories: readonly string[]
  readonly proxies: ProxyChoice
  readonly connectMs: number
  /** How names become addresses; the system's way unless given. */
  readonly lookup?: LookupFunction | undefined
}

/**
 * `all` are those of the host's folder, those that Node brings and those of the system. Reading the system's takes longer
 * than most pulls of a manifest, so they are read only when the others do not suffice.
 */
export type Authorities = 'configured' | 'all'

/** The code of a connection's error when a name leads to an address that the request must not go to. */
export const forbiddenAddress = 'FORBIDDEN_ADDRESS'
/** The code when a name does not lead to this machine alone, and the request is for this machine. */
export const distantAddress = 'DISTANT_ADDRESS'

/** Importing node:http as a module would evaluate all it exports, WebSocket included, which takes longer than a request. */
export async function openConnector(request: HttpRequest, authorities: Authorities, options: ConnectorOptions): Promise<Connector> {
  const { url } = request
  const proxy = options.proxies(url)
  // Behind a proxy it is the proxy that resolves names.
  const lookup = proxy === undefined ? openLookup(options.lookup, request) : {}
  if (url.protocol === 'http:') {
    if (proxy !== undefined) return { proxy, start: startPassedOn(proxy) }
    const http = process.getBuiltinModule('node:http')
    const agent = readLarge(new http.Agent({ keepAlive: true }))
    return { proxy, start: (target, settings) => http.request(target, { ...settings, agent, ...lookup }) }
  }
  const https = process.getBuiltinModule('node:https')
  const settings = { keepAlive: true, ...await tlsSettings(request, authorities, options) }
  const agent = proxy === undefined ? new https.Agent(settings) : tunnelAgent(proxy, settings, options.connectMs)
  return { proxy, start: (target, given) => https.request(target, { ...given, agent, ...lookup }) }
}

async function tlsSettings(request: HttpRequest, authorities: Authorities, options: ConnectorOptions): Promise<AgentOptions> {
  const found = await findCertificates(options.certificateDirectories, request.url.host)
  const client = found.client === undefined ? {} : { cert: found.client.certificate, key: found.client.key }
  // What was agreed on and checked in the beginning holds to the end: as with Docker, no server makes us agree on it again.
  const own = { ...client, secureOptions: process.getBuiltinModule('node:crypto').constants.SSL_OP_NO_RENEGOTIATION }
  if (request.trust !== 'checked') return { ...own, rejectUnauthorized: false }
  if (authorities === 'configured') return found.authorities.length === 0 ? own : { ...own, ca: [...found.authorities] }
  const { getCACertificates } = process.getBuiltinModule('node:tls')
  return { ...own, ca: [...found.authorities, ...getCACertificates('default'), ...getCACertificates('system')] }
}

/** One bad address spoils the name: which of them is connected to is not for us to say. */
export function openLookup(given: LookupFunction | undefined, { sentBy, trust }: Pick<HttpRequest, 'sentBy' | 'trust'>): { lookup?: LookupFunction } {
  if (sentBy === undefined && trust !== 'unchecked-here') return given === undefined ? {} : { lookup: given }
  const resolve: LookupFunction = given ?? process.getBuiltinModule('node:dns').lookup
  const judge = (address: string): string | undefined => {
    const reach = classifyAddress(address)
    // A name that a registry chose must not resolve into a network the registry is not in.
    if (sentBy !== undefined && !mayLeadTo(reach, sentBy.home)) return forbiddenAddress
    return trust === 'unchecked-here' && reach !== 'loopback' ? distantAddress : undefined
  }
  return {
    lookup: (hostname, settings, done) => {
      resolve(hostname, settings, (error, address, family) => {
        const addresses = typeof address === 'string' ? [address] : address.map((entry) => entry.address)
        const code = error === null ? addresses.map(judge).find((verdict) => verdict !== undefined) : undefined
        done(code === undefined ? error : Object.assign(new Error(code), { code }), address, family)
      })
    },
  }
}
