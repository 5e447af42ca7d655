import type { PointerKind } from '../errors.ts'
import type { AddressClass } from './address.ts'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'

/** What a request carries. `open` is called once for each time the request is sent. */
export interface RequestBody {
  readonly sizeBytes: number
  open(): AsyncIterable<Uint8Array>
}

/** A registry that pointed somewhere else, and how far its own address reaches. */
export interface Sender {
  readonly kind: PointerKind
  readonly host: string
  readonly home: AddressClass
}

/**
 * What must hold of the other side of a connection: `checked`, TLS with a certificate we trust; `unchecked`, nothing;
 * `unchecked-here`, that it is on this machine.
 */
export type Trust = 'checked' | 'unchecked' | 'unchecked-here'

export interface HttpRequest {
  readonly method: Method
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: RequestBody | undefined
  /** Whether http may be used at all is decided before. */
  readonly trust: Trust
  /** Who sent us there; undefined for a place that the user named. */
  readonly sentBy: Sender | undefined
  readonly answerMs: number
}

/** An answer whose body must be read to its end, or discarded. */
export interface HttpAnswer {
  readonly status: number
  /** By lower-case name; several of one name are joined. */
  header(name: string): string | undefined
  /** The other end's address; undefined behind a proxy. */
  readonly address: string | undefined
  /** Fails when the connection breaks, stalls or trickles. */
  readonly body: AsyncIterable<Uint8Array>
  /** Reads what little is left, so that the connection can be used again, or closes it. */
  discard(): Promise<void>
}

/** Sends one request and follows nothing. @throws {RegistryUnreachable} */
export interface Transport {
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>
  /** Whether a server is to be spoken to with TLS; undefined when a proxy stands before it. */
  speaksTls(server: { readonly url: URL; readonly trust: Trust }, signal: AbortSignal): Promise<boolean | undefined>
}

export function bytesBody(bytes: Uint8Array): RequestBody {
  return {
    sizeBytes: bytes.byteLength,
    async *open() {
      yield await Promise.resolve(bytes)
    },
  }
}
