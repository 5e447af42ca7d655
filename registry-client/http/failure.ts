import type { UnreachableReason } from '../errors.ts'
import { RegistryUnreachable } from '../errors.ts'

interface Kind { readonly reason: UnreachableReason; readonly text: string; readonly isTransient: boolean }

const kinds: Readonly<Record<string, Kind>> = {
  ENOTFOUND: { reason: 'dns', text: 'its name does not resolve', isTransient: false },
  EAI_AGAIN: { reason: 'dns', text: 'its name cannot be resolved at the moment', isTransient: true },
  ECONNREFUSED: { reason: 'refused', text: 'nothing listens there', isTransient: true },
  ECONNRESET: { reason: 'reset', text: 'the connection broke', isTransient: true },
  EPIPE: { reason: 'reset', text: 'the connection broke', isTransient: true },
  ECONNABORTED: { reason: 'reset', text: 'the connection broke', isTransient: true },
  ERR_STREAM_PREMATURE_CLOSE: { reason: 'reset', text: 'the connection broke', isTransient: true },
  ETIMEDOUT: { reason: 'timeout', text: 'it does not answer', isTransient: true },
  ENETUNREACH: { reason: 'network', text: 'there is no route to it', isTransient: true },
  EHOSTUNREACH: { reason: 'network', text: 'there is no route to it', isTransient: true },
  ERR_SSL_WRONG_VERSION_NUMBER: { reason: 'plain-http', text: '', isTransient: false },
  ERR_SSL_PACKET_LENGTH_TOO_LONG: { reason: 'plain-http', text: '', isTransient: false },
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: { reason: 'tls', text: 'it wants a client certificate; put one into /etc/containers/certs.d/HOST:PORT as client.cert and client.key', isTransient: false },
  CERT_HAS_EXPIRED: { reason: 'tls', text: 'its certificate has expired', isTransient: false },
  ERR_TLS_CERT_ALTNAME_INVALID: { reason: 'tls', text: 'its certificate is for another name', isTransient: false },
  HPE_HEADER_OVERFLOW: { reason: 'protocol', text: 'its answer has more headers than are accepted', isTransient: false },
}

/** By OpenSSL's number. */
const handshakeErrors: Readonly<Record<string, string>> = {
  '0A00010B': 'ERR_SSL_WRONG_VERSION_NUMBER',
  '0A0000C6': 'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  '0A00045C': 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
}

/** Certificates that no authority we know vouches for. */
const unknownAuthority: readonly string[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_UNTRUSTED',
]

/**
 * What an error of Node's network code means, without keeping it: such errors can carry the bytes that were received.
 */
export function describeFailure(error: unknown, host: string): RegistryUnreachable {
  if (error instanceof RegistryUnreachable) return error
  const detail = failureCode(error)
  const { reason, text, isTransient } = classify(detail)
  return new RegistryUnreachable(host, { reason, detail, isTransient, text: reason === 'plain-http' ? plainHttp(host) : `${text} (${detail})` })
}

/** Nothing came for the time given. */
export function stalled(host: string, what: string, ms: number): RegistryUnreachable {
  return new RegistryUnreachable(host, { reason: 'timeout', detail: 'ETIMEDOUT', text: `${what} within ${ms / 1000} s`, isTransient: true })
}

/** Whether other authorities could make the connection succeed. */
export function isUnknownAuthority(error: RegistryUnreachable): boolean {
  return unknownAuthority.includes(error.detail)
}

function failureCode(error: unknown): string {
  // A connection that failed to several addresses of one name: the first says as much as all.
  const single: unknown = error instanceof AggregateError ? error.errors[0] : error
  if (!(single instanceof Error && 'code' in single && typeof single.code === 'string')) return 'unknown error'
  if (single.code !== 'EPROTO') return single.code
  // Node passes on a failed handshake only as text; the library's number in it is the one thing that is stable.
  const number = /\berror:([0-9A-F]{8}):/u.exec(single.message)?.[1] ?? ''
  return Object.hasOwn(handshakeErrors, number) ? handshakeErrors[number] ?? number : `EPROTO ${number}`
}

function classify(code: string): Kind {
  const kind = Object.hasOwn(kinds, code) ? kinds[code] : undefined
  if (kind !== undefined) return kind
  if (unknownAuthority.includes(code)) {
    return { reason: 'tls', text: 'no authority that is trusted here has signed its certificate; put the authority\'s certificate into /etc/containers/certs.d/HOST:PORT/ca.crt', isTransient: false }
  }
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') || code.startsWith('CERT_') || code.startsWith('EPROTO')) return { reason: 'tls', text: 'TLS cannot be agreed on', isTransient: false }
  if (code.startsWith('HPE_')) return { reason: 'protocol', text: 'its answer is not HTTP', isTransient: false }
  return { reason: 'network', text: 'the connection failed', isTransient: true }
}

function plainHttp(host: string): string {
  return `it speaks http without TLS; to allow that, put this into registries.conf: [[registry]] location = "${host}" insecure = true`
}
