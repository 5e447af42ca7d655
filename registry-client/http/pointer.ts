import { isIP } from 'node:net'
import { ForbiddenTarget } from '../errors.ts'
import type { AddressClass } from './address.ts'
import { classifyAddress, mayLeadTo } from './address.ts'
import type { Sender } from './message.ts'

export interface Pointer {
  /** The header's text. */
  readonly text: string
  /** The address of the request that was answered with it. */
  readonly from: URL
  readonly sentBy: Sender
}

export const intoInnerNetwork = 'it leads into a network that the registry itself is not in'

/**
 * Where an answer points to, once it is clear that a request may go there as far as the text tells: http or https, never
 * from https to http, without credentials in it, not into a network that the registry itself is not in. Names are
 * checked again when they are resolved.
 * @throws {ForbiddenTarget}
 */
export function followPointer({ text, from, sentBy }: Pointer): URL {
  const refuse = (target: string, reason: string): never => {
    throw new ForbiddenTarget(sentBy.kind, sentBy.host, { target, text: reason })
  }
  const url = URL.parse(text, from.href)
  if (text === '' || url === null) return refuse('', 'it is no address')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refuse(url.protocol, 'its scheme is neither http nor https')
  if (url.protocol === 'http:' && from.protocol === 'https:') return refuse(url.origin, 'it leads from https to http')
  if (url.username !== '' || url.password !== '') return refuse(url.origin, 'it has credentials in it')
  if (url.origin !== from.origin && !isAllowedLiteral(url.hostname, sentBy.home)) return refuse(url.origin, intoInnerNetwork)
  url.hash = ''
  return url
}

function isAllowedLiteral(hostname: string, home: AddressClass): boolean {
  const address = hostname.replace(/^\[|\]$/gu, '')
  return isIP(address) === 0 || mayLeadTo(classifyAddress(address), home)
}
