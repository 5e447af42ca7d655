import { accessSync, closeSync, constants, mkdtempSync, rmSync, writeSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { isErrno } from '../../core/errors.ts'
import { findSystemProgram } from '../../core/find-program.ts'
import type { HelperProcess } from '../../native/index.ts'
import { getAddon, readPipe, startHelper, WireWriter } from '../../native/index.ts'
import type { Network, PublishedPort, UserNetworkProgram } from '../container-spec.ts'
import { NetworkUnavailable } from '../errors.ts'

/** What connects a plain user's containers here, or why nothing does. */
export type UserNetwork = UserNetworkProgram | { readonly kind: 'missing'; readonly reason: string }

const remedy = 'let an administrator run "apt-get install passt" (or slirp4netns), or use --network host or none'

/** pasta before slirp4netns, which is several times slower, unless one is asked for. */
export function findUserNetwork(env: NodeJS.ProcessEnv, kinds: readonly UserNetworkProgram['kind'][] = ['pasta', 'slirp4netns']): UserNetwork {
  const found = kinds.flatMap((kind) => {
    const path = findSystemProgram(kind, env)
    return path === undefined ? [] : [{ kind, path }]
  })
  const [program] = found
  if (program === undefined) return { kind: 'missing', reason: `${kinds.length > 1 ? 'neither pasta nor slirp4netns' : `no ${kinds.join()}`} is installed; ${remedy}` }
  const tunnel = whyNoTunnel()
  return tunnel === undefined ? program : { kind: 'missing', reason: tunnel }
}

function whyNoTunnel(): string | undefined {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM', 'ENOENT')) return `/dev/net/tun cannot be opened (${error.code}), which ${error.code === 'ENOENT' ? 'the kernel module tun makes: modprobe tun' : 'an administrator allows by chmod 666'}; or use --network host or none`
    throw error
  }
}

/** Connects one container: its init waits at `fd` until that is done. */
export interface NetworkAttendant {
  /** For the helper, as its first extra descriptor. */
  readonly fd: number
  /** Called when the container's namespace is there; when connecting fails `failed` is called, and `end` throws why. */
  connect(initPid: number, failed: () => void): void
  /** Ends what connects it. @throws {NetworkUnavailable} */
  end(): Promise<void>
}

export function attendNetwork({ program, ports }: Extract<Network, { mode: 'private' }>): NetworkAttendant {
  const [go, signal] = getAddon().pipe(0)
  let connecting: Promise<Attending> | undefined
  return {
    fd: go,
    connect: (initPid, failed) => {
      closeSync(go)
      connecting = startProgram(initPid, program, ports)
      connecting.then(() => { tell(signal) }, failed)
    },
    end: async () => {
      if (connecting === undefined) closeSync(go)
      closeSync(signal)
      const attending = await connecting
      attending?.helper.kill('SIGTERM')
      await attending?.ended
    },
  }
}

/** A container that is gone by then needs no network. */
function tell(signal: number): void {
  try {
    writeSync(signal, 'g')
  } catch (error) {
    if (!isErrno(error, 'EPIPE', 'EBADF')) throw error
  }
}

interface Attending {
  readonly helper: HelperProcess
  readonly ended: Promise<unknown>
}

/** Where the helper puts the namespace for it. @see native/helper/network/modes.h */
const namespacePath = '/proc/version'
const device = 'eth0'

async function startProgram(initPid: number, program: UserNetworkProgram, ports: readonly PublishedPort[]): Promise<Attending> {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-net-'))
  const socket = join(folder, 'api')
  const [ready, writeReady] = getAddon().pipe(0)
  const [said, writeSaid] = getAddon().pipe(0)
  try {
    const args = program.kind === 'pasta' ? pastaArgs(ports) : slirpArgs(socket)
    const wire = new WireWriter().u32(initPid).bytes(program.path)
    wire.list([program.kind, ...args], (arg) => wire.bytes(arg)).list(['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], (variable) => wire.bytes(variable))
    // pasta closes every descriptor but the usual three.
    const stdio = program.kind === 'pasta' ? [-1, writeReady, writeSaid] as const : [-1, -1, writeSaid] as const
    const helper = startHelper({ mode: 'attend', request: wire.finish(), stdio, fds: [writeReady] }, () => undefined)
    closeSync(writeReady)
    closeSync(writeSaid)
    const words = text(readPipe(said))
    const ended = helper.ended.catch((error: unknown) => error)
    if (!await isReady(ready)) {
      await ended
      throw new NetworkUnavailable('private', `${program.kind} failed: ${(await words).trim().split('\n').at(-1) ?? ''}`)
    }
    try {
      if (program.kind === 'slirp4netns') for (const port of ports) await addForward(socket, port)
    } catch (error) {
      helper.kill('SIGTERM')
      await ended
      throw error
    }
    return { helper, ended }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Either writes something when the network is up, and nothing when it fails. */
async function isReady(fd: number): Promise<boolean> {
  for await (const bytes of readPipe(fd)) if (bytes.length > 0) return true
  return false
}

/** Nothing listens on the host but what was published, and the host's loopback is out of reach. */
function pastaArgs(ports: readonly PublishedPort[]): string[] {
  const list = (protocol: PublishedPort['protocol']): string[] => {
    const forwards = ports.filter((port) => port.protocol === protocol).map(({ address, hostPort, containerPort }) => `${address === undefined ? '' : `${address}/`}${hostPort}:${containerPort}`)
    return forwards.length === 0 ? ['none'] : forwards
  }
  return [
    '--config-net', '--foreground', '--netns-only', '--netns', namespacePath, '--pid', '/proc/self/fd/1', '--ns-ifname', device, '--no-map-gw',
    ...list('tcp').flatMap((forward) => ['-t', forward]), ...list('udp').flatMap((forward) => ['-u', forward]), '-T', 'none', '-U', 'none',
  ]
}

function slirpArgs(socket: string): string[] {
  return ['--configure', '--mtu=65520', '--disable-host-loopback', '--ready-fd=5', `--api-socket=${socket}`, '--netns-type=path', namespacePath, device]
}

/** @see slirp4netns(1), "API socket" */
async function addForward(path: string, { address = '0.0.0.0', hostPort, containerPort, protocol }: PublishedPort): Promise<void> {
  const socket = createConnection({ path, allowHalfOpen: true })
  socket.end(JSON.stringify({ execute: 'add_hostfwd', arguments: { proto: protocol, host_addr: address, host_port: hostPort, guest_port: containerPort } }))
  const answer = JSON.parse(await text(socket)) as { readonly error?: { readonly desc?: string } }
  if (answer.error !== undefined) throw new NetworkUnavailable('private', `slirp4netns cannot listen on ${address}:${hostPort}/${protocol}: ${answer.error.desc ?? ''}`)
}
