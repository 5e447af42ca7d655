import { isIPv6 } from 'node:net'
import { isErrno } from '../../core/errors.ts'
import type { PublishedPort } from '../container-spec.ts'
import { NetworkUnavailable } from '../errors.ts'

/** Where what comes to a port of the host goes. */
export interface Forward {
  readonly address: string
  readonly port: number
  readonly target: { readonly host: string; readonly port: number }
}

export interface Forwarder {
  close(): Promise<void>
}

/** What a socket that cannot listen means to whoever wants the port published. */
export function refuseToListen({ address, port }: Forward, protocol: PublishedPort['protocol'], error: Error): Error {
  if (!isErrno(error, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL')) return error
  return new NetworkUnavailable('bridge', `cannot listen on ${isIPv6(address) ? `[${address}]` : address}:${port}/${protocol}: ${error.code}`, { cause: error })
}
