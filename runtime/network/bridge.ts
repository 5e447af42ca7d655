import { randomBytes, randomInt } from 'node:crypto'
import { closeSync, constants, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { callHelper, getAddon, HelperFailure, WireWriter } from '../../native/index.ts'
import type { BridgePort } from '../container-spec.ts'
import { NetworkUnavailable } from '../errors.ts'
import { getHost } from '../host-support.ts'
import type { Route, Subnet } from './subnet.ts'
import { chooseSubnet, formatAddress, hostCount, parseSubnet, readRoutes, toNetworkOrder } from './subnet.ts'

/** An address of the bridge's subnet; nobody else gets it until it is given back or this process ends. */
export interface BridgeLease extends Disposable {
  readonly port: BridgePort
}

export interface BridgeOptions {
  /** `10.213.0.0/16`; default one that the host does not use. */
  readonly subnet?: string | undefined
  /** Whether the container reaches no other container on the bridge. */
  readonly isIsolated: boolean
}

const bridge = 'tsbuild0'
const stateFolder = '/run/tsbuild'
/** Byte n locked means address n of the subnet is in use. The kernel unlocks when its owner dies, however. */
const addressFile = join(stateFolder, 'addresses')
/** A byte behind every address: whoever makes or removes the bridge holds it. */
const setupByte = 2 ** 32
const netAdmin = 1n << 12n
/** 0 is the subnet, 1 the bridge. */
const firstHost = 2

/**
 * Takes a free address, after making the bridge, its address and the translation of addresses where they are missing.
 * The bridge stays when the last container is gone, as Docker's does; `removeBridge` removes it.
 * @throws {NetworkUnavailable} {InvalidSpec}
 */
export async function leaseBridgePort({ subnet, isIsolated }: BridgeOptions): Promise<BridgeLease> {
  const asked = subnet === undefined ? undefined : parseSubnet(subnet)
  const fd = openAddressFile()
  try {
    const routes = readRoutes()
    let range = findSubnet(routes, asked)
    let address = lockAddress(fd, range)
    /* Asked only now: since the address is locked, nobody removes the bridge any more. */
    if (!isThere()) {
      const made = await makeBridge(asked)
      if (made.first !== range.first || made.prefix !== range.prefix) {
        range = made
        address = lockAddress(fd, range)
      }
    }
    if (asked !== undefined && (asked.first !== range.first || asked.prefix !== range.prefix)) refuse(`${bridge} is there with subnet ${formatAddress(range.first)}/${range.prefix}, wanted ${subnet ?? ''}; stop its containers and run "tsbuild system prune"`)
    const port: BridgePort = {
      bridge, name: `tsb${randomBytes(5).toString('hex')}`, address: formatAddress(address), prefix: range.prefix,
      gateway: formatAddress(range.first + 1), mtu: findMtu(routes), isIsolated,
    }
    return { port, [Symbol.dispose]: () => { closeSync(fd) } }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Whether the host's network is not ours to change: a process in a user namespace of its own. */
export function isNetworkForeign(): boolean {
  return getHost().idMaps !== undefined
}

/** Removes the bridge and its rules unless a container uses it. @returns whether there was one and nobody used it */
export async function removeBridge(): Promise<boolean> {
  if (!isThere()) return false
  const fd = openAddressFile()
  try {
    getAddon().lockRange(fd, setupByte, 1, true)
    if (!getAddon().lockRange(fd, 0, setupByte, false)) return false
    await callBridge('remove-bridge', new WireWriter().bytes(bridge))
    return true
  } finally {
    closeSync(fd)
  }
}

function findSubnet(routes: readonly Route[], asked: Subnet | undefined): Subnet {
  const subnet = chooseSubnet(routes, { bridge, asked })
  if (subnet === undefined) throw new NetworkUnavailable('bridge', 'every subnet it would use is taken by a route of this host; name another one by TSBUILD_SUBNET')
  return subnet
}

function refuse(reason: string): never {
  throw new NetworkUnavailable('bridge', reason)
}

/** /proc/net is that of our network namespace, whichever /sys is mounted. */
function isThere(): boolean {
  return readFileSync('/proc/net/dev', 'utf8').includes(`${bridge}:`)
}

function openAddressFile(): number {
  if (isNetworkForeign()) refuse('a plain user cannot change the host\'s network; use --network host or none')
  if ((getHost().capabilities & netAdmin) === 0n) refuse('this process lacks CAP_NET_ADMIN; use --network host or none')
  try {
    mkdirSync(stateFolder, { recursive: true, mode: 0o700 })
    return openSync(addressFile, constants.O_RDWR | constants.O_CREAT, 0o600)
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS')) throw new NetworkUnavailable('bridge', `cannot open ${addressFile}: ${error.code}`, { cause: error })
    throw error
  }
}

/** From anywhere in the subnet on, so that an address rests before it is used again. */
function lockAddress(fd: number, range: Subnet): number {
  const hosts = hostCount(range) - firstHost - 1
  const start = randomInt(hosts)
  for (let turn = 0; turn < hosts; turn++) {
    const host = firstHost + (start + turn) % hosts
    if (getAddon().lockRange(fd, range.first + host, 1, false)) return range.first + host
  }
  return refuse(`all ${hosts} addresses of ${formatAddress(range.first)}/${range.prefix} are in use`)
}

async function makeBridge(asked: Subnet | undefined): Promise<Subnet> {
  const fd = openSync(addressFile, constants.O_RDWR)
  try {
    getAddon().lockRange(fd, setupByte, 1, true)
    const routes = readRoutes()
    const subnet = findSubnet(routes, asked)
    await callBridge('make-bridge', new WireWriter().bytes(bridge).u32(toNetworkOrder(subnet.first + 1)).u8(subnet.prefix).u32(findMtu(routes)))
    return subnet
  } finally {
    closeSync(fd)
  }
}

/** In the order of their numbers, which begin at 1. @see native/helper/network/bridge.c */
const stages: readonly string[] = ['request', 'bridge', 'forwarding', 'address translation']

async function callBridge(mode: string, wire: WireWriter): Promise<void> {
  try {
    await callHelper(mode, wire.finish(), () => undefined)
  } catch (error) {
    if (!(error instanceof HelperFailure)) throw error
    throw new NetworkUnavailable('bridge', `${stages[error.stage - 1] ?? ''} "${error.object}" failed with ${error.errnoName}`, { cause: error })
  }
}

const usualMtu = 1500

/** What leaves through the default route must fit there: not every network in between tells when it does not. */
function findMtu(routes: readonly Route[]): number {
  const device = routes.find(({ prefix }) => prefix === 0)?.device
  const file = `/sys/class/net/${device ?? ''}/mtu`
  return device === undefined || !existsSync(file) ? usualMtu : Math.min(usualMtu, Number(readFileSync(file, 'utf8')))
}
