import type { LookupFunction } from 'node:net'
import { connect, isIP } from 'node:net'
import { describeFailure, stalled } from './failure.ts'

export interface Greeting {
  readonly url: URL
  readonly connectMs: number
  readonly lookup?: LookupFunction
  readonly signal: AbortSignal
}

/** A server of another protocol that waits for more than the greeting will not say anything by then. */
const answerMs = 2_000
const handshakeRecord = 0x16
const alertRecord = 0x15

/**
 * Greets a server as TLS begins and looks at the first byte of what it says: a handshake or an alert is TLS, anything else,
 * an end and silence are not. Loading and failing with Node's own TLS takes ten times as long.
 * @throws {RegistryUnreachable} when no connection comes about
 * @see RFC 8446, 4.1.2 and 5.1
 */
export function speaksTls({ url, connectMs, lookup, signal }: Greeting): Promise<boolean> {
  const { host } = url
  const hostname = url.hostname.replace(/^\[|\]$/gu, '')
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const port = url.port === '' ? 443 : Number(url.port)
    const socket = connect({ host: hostname, port, ...(lookup === undefined || isIP(hostname) !== 0 ? {} : { lookup }) })
    let isConnected = false
    const settle = (finish: () => void): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      socket.destroy()
      finish()
    }
    const abort = (): void => { settle(() => { reject(signal.reason) }) }
    let timer = setTimeout(() => { settle(() => { reject(stalled(host, 'no connection came about', connectMs)) }) }, connectMs)
    signal.addEventListener('abort', abort, { once: true })
    socket.on('connect', () => {
      isConnected = true
      clearTimeout(timer)
      timer = setTimeout(() => { settle(() => { resolve(false) }) }, answerMs)
      socket.write(clientHello)
    })
    socket.on('data', (bytes) => { settle(() => { resolve(bytes[0] === handshakeRecord || bytes[0] === alertRecord) }) })
    socket.on('end', () => { settle(() => { resolve(false) }) })
    socket.on('error', (error) => { settle(isConnected ? () => { resolve(false) } : () => { reject(describeFailure(error, host)) }) })
  })
}

/**
 * The smallest greeting that is well-formed: TLS 1.2 and one cipher. Its random bytes are line ends, for servers of line
 * based protocols to answer.
 */
const clientHello = Buffer.concat([
  Buffer.from([handshakeRecord, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3]),
  Buffer.from('\r\n'.repeat(16)),
  Buffer.from([0, 0, 2, 0xc0, 0x2f, 1, 0]),
])
