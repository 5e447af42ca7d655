import { existsSync, readFileSync } from 'node:fs'
import { InvalidSpec } from '../errors.ts'

/** IPv4 addresses as numbers. */
export interface Subnet {
  readonly first: number
  readonly prefix: number
}

/** Tried in this order; each is common nowhere. */
const candidates: readonly string[] = ['10.213.0.0/16', '10.214.0.0/16', '172.30.0.0/16', '192.168.213.0/24']

const shortestPrefix = 8
/** Below it there is no room for a bridge and a container. */
const longestPrefix = 29

/** @throws {InvalidSpec} */
export function parseSubnet(text: string): Subnet {
  const [, dotted = '', prefixText = ''] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/u.exec(text) ?? []
  const prefix = Number(prefixText)
  const address = parseAddress(dotted)
  if (address === undefined || prefix < shortestPrefix || prefix > longestPrefix) throw new InvalidSpec('network.subnet', text, `an IPv4 subnet with a prefix of ${shortestPrefix} to ${longestPrefix}, 10.213.0.0/16`)
  return { first: (address & mask(prefix)) >>> 0, prefix }
}

/** The bridge's own, or, before there is one, that asked for or the first candidate that no route of the host touches. */
export function chooseSubnet(routes: readonly Route[], { bridge, asked }: { readonly bridge: string; readonly asked: Subnet | undefined }): Subnet | undefined {
  const own = routes.find(({ device, prefix }) => device === bridge && prefix > 0)
  if (own !== undefined) return { first: own.first, prefix: own.prefix }
  if (asked !== undefined) return asked
  return candidates.map(parseSubnet).find((candidate) => !routes.some((route) => route.prefix > 0 && overlap(route, candidate)))
}

export interface Route extends Subnet {
  readonly device: string
}

export function readRoutes(): Route[] {
  return existsSync('/proc/net/route') ? parseRoutes(readFileSync('/proc/net/route', 'utf8')) : []
}

/** /proc/net/route has addresses as the numbers that their bytes are in this machine's memory. @see proc_pid_net(5) */
export function parseRoutes(text: string): Route[] {
  return text.trimEnd().split('\n').slice(1).map((line) => {
    const [device = '', destination = '', , , , , , maskText = ''] = line.trim().split(/\s+/u)
    return { device, first: swap(destination), prefix: countOnes(swap(maskText)) }
  })
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => address >>> shift & 0xff).join('.')
}

/** As the kernel has it in memory. */
export function toNetworkOrder(address: number): number {
  return Buffer.from([24, 16, 8, 0].map((shift) => address >>> shift & 0xff)).readUInt32LE()
}

export function hostCount({ prefix }: Subnet): number {
  return 2 ** (32 - prefix)
}

function overlap(one: Subnet, other: Subnet): boolean {
  const common = mask(Math.min(one.prefix, other.prefix))
  return ((one.first ^ other.first) & common) === 0
}

function parseAddress(text: string): number | undefined {
  const bytes = text.split('.').map(Number)
  if (bytes.length !== 4 || bytes.some((byte) => !Number.isInteger(byte) || byte > 255)) return undefined
  return Buffer.from(bytes).readUInt32BE()
}

function mask(prefix: number): number {
  return prefix === 0 ? 0 : ~0 << (32 - prefix)
}

function swap(hex: string): number {
  return Buffer.from(hex.padStart(8, '0'), 'hex').readUInt32LE()
}

function countOnes(value: number): number {
  return value.toString(2).replaceAll('0', '').length
}
