import { readFileSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'
import type { Mount, Network } from '../../runtime/index.ts'
import { NetworkUnavailable } from '../../runtime/index.ts'
import type { Confinement, DnsSettings } from './confinement.ts'

const fileMode = 0o644

interface NetworkFileParts {
  readonly network: Network
  readonly hostname: string
  readonly confinement: Pick<Confinement, 'hosts' | 'dns'>
}

/**
 * /etc/hosts, /etc/hostname and /etc/resolv.conf as a container sees them. They are mounted, so what the image has under
 * these names stays as it is and no layer holds ours.
 */
export function networkFiles({ network, hostname, confinement: { hosts, dns } }: NetworkFileParts): Mount[] {
  return [
    file('/etc/hosts', hostsFile({ network, hostname, confinement: { hosts, dns } })),
    file('/etc/hostname', `${hostname}\n`),
    file('/etc/resolv.conf', network.mode === 'none' ? '' : resolvConf(network.mode === 'bridge' || network.mode === 'private' ? reachableResolvConf() : hostResolvConf(), dns)),
  ]
}

function file(target: string, text: string): Mount {
  return { kind: 'file', target, content: Buffer.from(text), mode: fileMode, uid: 0, gid: 0 }
}

function hostsFile({ network, hostname, confinement: { hosts } }: NetworkFileParts): string {
  const own = network.mode === 'bridge' ? `127.0.0.1\tlocalhost\n${network.port.address}\t${hostname}\n` : `127.0.0.1\tlocalhost ${hostname}\n`
  if (network.mode === 'private' && hosts.some(({ address }) => address === 'host-gateway')) throw new NetworkUnavailable('private', 'the host is out of its reach, so host-gateway has no address; use --network host')
  const gateway = network.mode === 'bridge' ? network.port.gateway : '127.0.0.1'
  const common = '::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n'
  return own + common + hosts.map(({ name, address }) => `${address === 'host-gateway' ? gateway : address}\t${name}\n`).join('')
}

/** What is given replaces the host's lines of that kind. */
export function resolvConf(text: string, { servers, search, options }: DnsSettings): string {
  const kept = text.split('\n').filter((line) => {
    const [word = ''] = line.trim().split(/\s+/u)
    if (word === 'nameserver') return servers.length === 0
    if (word === 'search' || word === 'domain') return search.length === 0
    return word === 'options' ? options.length === 0 : false
  })
  const own = [
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length === 0 || search.includes('.') ? [] : [`search ${search.join(' ')}`]),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
  ]
  return [...kept, ...own].map((line) => `${line}\n`).join('')
}

const loopbackServer = /^\s*nameserver\s+(?:127\.|::1)/u

/**
 * A name server on the host's loopback, a local cache, is not there for a container; systemd's says in another file whom
 * it asks itself. Where nothing is left, Docker's choice is ours.
 */
function reachableResolvConf(): string {
  const reachable = [hostResolvConf(), readIfThere('/run/systemd/resolve/resolv.conf')]
    .map((text) => text.split('\n').filter((line) => !loopbackServer.test(line)).join('\n'))
  return reachable.find((text) => /^\s*nameserver\s/mu.test(text)) ?? `${reachable[0] ?? ''}\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n`
}

function hostResolvConf(): string {
  return readIfThere('/etc/resolv.conf')
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  }
}
