import { BlockList, isIP } from 'node:net'
import { InvalidConfiguration } from '../errors.ts'
import { classifyAddress } from '../http/address.ts'
import type { Environment } from './environment.ts'
import { variable } from './environment.ts'
import { Secret } from './secret.ts'

/** A server that passes requests on. */
export interface Proxy {
  /** http or https, without credentials, path and query. */
  readonly url: URL
  /** What it wants to see in Proxy-Authorization. */
  readonly authorization: Secret | undefined
}

/** The proxy that a request to this address goes through; undefined when it goes there directly. */
export type ProxyChoice = (target: URL) => Proxy | undefined

/** All requests go where they are addressed to. */
export const noProxies: ProxyChoice = () => undefined

/**
 * Reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in capitals or not, as docker and podman do. NO_PROXY lists hosts with all
 * their subdomains, `.domain` for the subdomains alone, addresses, networks such as `10.0.0.0/8`, each with a port if only
 * that is meant, or `*`. This machine is always spoken to directly.
 * @throws {InvalidConfiguration}
 */
export function loadProxies(env: Environment): ProxyChoice {
  const http = readProxy(env, 'HTTP_PROXY')
  const https = readProxy(env, 'HTTPS_PROXY')
  if (http === undefined && https === undefined) return noProxies
  const isExempt = parseExemptions(either(env, 'NO_PROXY') ?? '')
  return (target) => (isThisMachine(target) || isExempt(target) ? undefined : target.protocol === 'https:' ? https : http)
}

function either(env: Environment, name: string): string | undefined {
  return variable(env, name) ?? variable(env, name.toLowerCase())
}

/** Its value may hold a password, so no message repeats it. */
function readProxy(env: Environment, name: string): Proxy | undefined {
  const text = either(env, name)
  if (text === undefined) return undefined
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (url === null || url.hostname === '') throw new InvalidConfiguration(name, { text: 'is not the address of a proxy, such as http://proxy.example:3128' })
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new InvalidConfiguration(name, { text: `has the scheme "${url.protocol}//"; only proxies that speak http or https are supported` })
  return { url: new URL(url.origin), authorization: authorizationOf(url, name) }
}

function authorizationOf({ username, password }: URL, name: string): Secret | undefined {
  if (username === '' && password === '') return undefined
  try {
    return new Secret(`Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`)
  } catch (error) {
    if (error instanceof URIError) throw new InvalidConfiguration(name, { text: 'has a username or password that is not percent-encoded' })
    throw error
  }
}

function isThisMachine({ hostname }: URL): boolean {
  return hostname === 'localhost' || (isIP(bare(hostname)) !== 0 && classifyAddress(hostname) === 'loopback')
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/gu, '')
}

type Exemption = (host: string) => boolean

function parseExemptions(text: string): (target: URL) => boolean {
  const entries = text.toLowerCase().split(/[\s,]+/u).filter((entry) => entry !== '').map(parseExemption)
  return (target) => entries.some(({ port, matches }) => (port === undefined || port === portOf(target)) && matches(bare(target.hostname)))
}

function portOf({ port, protocol }: URL): string {
  return port === '' ? (protocol === 'https:' ? '443' : '80') : port
}

function parseExemption(entry: string): { readonly port: string | undefined; readonly matches: Exemption } {
  const [, host = entry, port] = /^(.*?)(?::(\d+))?$/u.exec(isIP(entry) === 6 ? `[${entry}]` : entry) ?? []
  return { port, matches: parseHost(bare(host)) }
}

function parseHost(text: string): Exemption {
  if (text === '*') return () => true
  const network = parseNetwork(text)
  if (network !== undefined) return (host) => isIP(host) !== 0 && network.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4')
  const domain = text.replace(/^\*?\./u, '')
  const isSubdomainsOnly = domain !== text
  return (host) => host.endsWith(`.${domain}`) || (!isSubdomainsOnly && host === domain)
}

/** An address or `address/bits`. */
function parseNetwork(text: string): BlockList | undefined {
  const [address = '', bits] = text.split('/')
  const family = isIP(address)
  if (family === 0) return undefined
  const width = family === 6 ? 128 : 32
  const prefix = bits === undefined ? width : /^\d{1,3}$/u.test(bits) ? Number(bits) : -1
  if (prefix < 0 || prefix > width) return undefined
  const list = new BlockList()
  list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4')
  return list
}
