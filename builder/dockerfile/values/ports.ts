import { isIP } from 'node:net'
import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'
import type { DockerfileSource, Word } from '../instruction.ts'
import { findNearest } from '../../../core/nearest.ts'

/** One argument of EXPOSE, taken apart. */
export interface PortSpec {
  readonly first: number
  readonly last: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  /** The protocol as written; empty when there is none. */
  readonly writtenProtocol: string
  /** True for `8080:80` and `127.0.0.1:8080:80`: the part before is without effect. */
  readonly hasHostPart: boolean
}

const protocols = ['tcp', 'udp', 'sctp'] as const
const maxPorts = 3 * 65_536

/**
 * The ports of EXPOSE after expansion, each as `port/protocol`, in the order written and without repetition.
 * @throws {DockerfileError}
 * @see Dockerfile reference "EXPOSE"
 */
export function parsePorts(words: readonly Word[], source: DockerfileSource): string[] {
  const ports = new Set<string>()
  const seen = new Set<string>()
  let steps = 0
  for (const { text, range } of words) {
    if (seen.has(text)) continue
    seen.add(text)
    const { first, last, protocol } = parsePortSpec(text, { source, range })
    steps += last - first + 1
    if (steps > maxPorts) throw new DockerfileError({ source, range }, { rule: 'limit', problem: `EXPOSE names more than the ${maxPorts} ports there are` })
    for (let port = first; port <= last; port += 1) ports.add(`${port}/${protocol}`)
  }
  return [...ports]
}

/** @throws {DockerfileError} */
export function parsePortSpec(text: string, place: Place): PortSpec {
  const fail: Fail = (problem, suggestion) => {
    throw new DockerfileError(place, { rule: 'port', problem: `EXPOSE ${quote(text)}: ${problem}`, remedy: 'write 8080, 53/udp or 8000-8010', suggestion })
  }
  const parts = text.split(':')
  const [range = '', writtenProtocol = ''] = parts.at(-1)?.split('/') ?? []
  const protocol = protocols.find((name) => name === (writtenProtocol === '' ? 'tcp' : writtenProtocol.toLowerCase()))
    ?? fail(`there is no protocol ${quote(writtenProtocol)}`, findNearest(writtenProtocol, protocols))
  if (range === '') fail('the port is missing')
  const { first, last } = parseRange(range) ?? fail(`${quote(range)} is no port from 0 to 65535, and no range of such`)
  const hasHostPart = checkHostPart(parts, last - first, fail)
  return { first, last, protocol, writtenProtocol, hasHostPart }
}

type Fail = (problem: string, suggestion?: string) => never

/** The part before the port, `address:port:` or `port:`, says nothing in EXPOSE, but Docker wants it right. */
function checkHostPart(parts: readonly string[], length: number, fail: Fail): boolean {
  const hostPort = parts.at(-2) ?? ''
  const address = parts.slice(0, -2).join(':')
  if (address !== '' && isIP(address.replace(/^\[(.*)\]$/u, '$1')) === 0) fail(`${quote(address)} is no address`)
  if (hostPort === '') return address !== ''
  const host = parseRange(hostPort) ?? fail(`${quote(hostPort)} is no port`)
  if (length !== 0 && length !== host.last - host.first) fail('the two ranges differ in length')
  return true
}

function parseRange(text: string): { readonly first: number; readonly last: number } | undefined {
  const match = /^(\d{1,10})(?:-(\d{1,10}))?$/u.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  return last <= 65_535 && first <= last ? { first, last } : undefined
}
