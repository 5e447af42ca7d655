import { readlinkSync } from 'node:fs'
import { isIP } from 'node:net'
import type { RunRequest } from '../builder/index.ts'
import type { NamespaceChoice, Namespaces, Privilege, PublishedPort } from '../runtime/index.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { parseMount, parseTmpfs, parseVolume } from './mount-options.ts'
import { parseChoice } from './option-values.ts'

/** What only `run` has. */
export const runOptions: readonly OptionSpec[] = [
  { name: 'privileged', help: 'All capabilities, all devices, nothing hidden or filtered' },
  { name: 'read-only', help: 'Make the root filesystem read-only' },
  { name: 'hostname', short: 'h', value: 'NAME', help: 'Host name of the container' },
  { name: 'domainname', value: 'NAME', help: 'Domain name of the container' },
  { name: 'group-add', value: 'GROUP', isRepeatable: true, help: 'Supplementary group, by name or id' },
  { name: 'umask', value: 'OCTAL', help: 'Mode bits that new files lack (default 0022)' },
  { name: 'oom-score-adj', value: 'N', help: 'How likely a victim of the OOM killer, -1000 to 1000' },
  { name: 'sysctl', value: 'NAME=VALUE', isRepeatable: true, help: 'Kernel setting of a namespace of the container\'s own' },
  { name: 'tmpfs', value: 'DIR[:OPTIONS]', isRepeatable: true, help: 'Folder in memory; options size=, mode=, ro, exec' },
  { name: 'volume', short: 'v', value: 'HOST:DIR[:ro]', isRepeatable: true, help: 'Folder or file of the host' },
  { name: 'mount', value: 'type=bind|tmpfs,…', isRepeatable: true, help: 'The same in one option: type=bind,source=HOST,target=DIR[,readonly], type=tmpfs,target=DIR[,tmpfs-size=SIZE][,tmpfs-mode=MODE]' },
  { name: 'publish', short: 'p', value: '[IP:]HOST:CONTAINER[/udp]', isRepeatable: true, help: 'Port of the host, or range of ports, that leads to one of the container' },
  { name: 'pid', value: 'host|container:NAME', help: 'PID namespace, default its own' },
  { name: 'ipc', value: 'host|container:NAME', help: 'IPC namespace, default its own' },
  { name: 'uts', value: 'host|container:NAME', help: 'UTS namespace, default its own' },
  { name: 'cgroupns', value: 'host|private', help: 'cgroup namespace, default its own' },
  { name: 'time-offset', value: 'CLOCK=SECONDS', isRepeatable: true, help: 'monotonic or boottime clock ahead of the host\'s; the time of day cannot be changed' },
  { name: 'init', help: 'Have an init reap orphans, which is always so' },
  { name: 'no-healthcheck', isHidden: true, help: 'Nothing watches the health of a container' },
]

type ParsedOptions = Pick<RunRequest, 'hostname' | 'domainname' | 'groups' | 'umask' | 'oomScoreAdj' | 'sysctls' | 'mounts' | 'namespaces' | 'clockOffsets' | 'ports'>

/** The pid of the init of a running container. */
export type FindInit = (container: string) => number

/** @throws {UsageError} */
export function parseRunOptions(options: OptionValues, findInit: FindInit): ParsedOptions {
  return {
    hostname: options.text('hostname'),
    domainname: options.text('domainname'),
    groups: options.texts('group-add'),
    umask: parseNumber(options, { name: 'umask', pattern: /^0?[0-7]{1,3}$/u, radix: 8 }),
    oomScoreAdj: parseNumber(options, { name: 'oom-score-adj', pattern: /^-?\d{1,4}$/u, radix: 10 }),
    sysctls: Object.fromEntries(options.texts('sysctl').map(parseSysctl)),
    namespaces: { ...parseShared('pid', options, findInit), ...parseShared('ipc', options, findInit), ...parseShared('uts', options, findInit), ...(parseChoice(options, 'cgroupns', ['host', 'private']) === 'host' ? { cgroup: { kind: 'host' as const } } : {}) },
    clockOffsets: Object.fromEntries(options.texts('time-offset').map(parseOffset)),
    ports: options.texts('publish').flatMap(parsePorts),
    mounts: [...options.texts('volume').map(parseVolume), ...options.texts('tmpfs').map(parseTmpfs), ...options.texts('mount').map(parseMount)],
  }
}

export function withRunPrivilege<T extends { readonly privilege: Privilege }>(confinement: T, options: OptionValues): T {
  const { privilege } = confinement
  return { ...confinement, privilege: { ...privilege, ...(options.has('read-only') ? { readonlyRootfs: true } : {}), ...(options.has('privileged') ? { isPrivileged: true } : {}) } }
}

function parseNumber(options: OptionValues, { name, pattern, radix }: { readonly name: string; readonly pattern: RegExp; readonly radix: number }): number | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  if (!pattern.test(text)) throw new UsageError(`option --${name} takes ${radix === 8 ? 'an octal mask such as 0077' : 'a whole number'}, not "${text}"`)
  return Number.parseInt(text, radix)
}

function parseSysctl(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError(`option --sysctl takes NAME=VALUE, not "${text}"`)
  return [text.slice(0, equals), text.slice(equals + 1)]
}

function parseShared(name: 'pid' | 'ipc' | 'uts', options: OptionValues, findInit: FindInit): Namespaces {
  const text = options.text(name)
  // Every container lets others join its own.
  if (text === undefined || text === 'private' || (name === 'ipc' && text === 'shareable')) return {}
  if (text === 'host') return { [name]: { kind: 'host' } }
  const [, container] = /^container:(.+)$/u.exec(text) ?? []
  if (container === undefined) throw new UsageError(`option --${name} takes host or container:NAME, not "${text}"`)
  return { [name]: joinNamespace(findInit(container), name) }
}

/** One that its container shares with the host is the host's: it need not be joined, and by a plain user cannot be. */
export function joinNamespace(initPid: number, name: 'pid' | 'ipc' | 'uts' | 'net'): NamespaceChoice {
  const path = `/proc/${initPid}/ns/${name}`
  return readlinkSync(path) === readlinkSync(`/proc/self/ns/${name}`) ? { kind: 'host' } : { kind: 'joined', path }
}

function parseOffset(text: string): ['monotonic' | 'boottime', number] {
  const [, clock, seconds] = /^(monotonic|boottime)=(-?\d{1,10})$/u.exec(text) ?? []
  if (clock !== 'monotonic' && clock !== 'boottime') throw new UsageError(`option --time-offset takes monotonic=SECONDS or boottime=SECONDS, not "${text}"`)
  return [clock, Number(seconds)]
}

const highestPort = 65_535

/** A range leads to a range of the same length, port by port. */
function parsePorts(text: string): PublishedPort[] {
  const [, address, host = '', container = '', protocol = 'tcp'] = /^(?:(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]+\]):)?([\d-]+):([\d-]+)(?:\/(\w+))?$/u.exec(text) ?? []
  if (protocol !== 'tcp' && protocol !== 'udp') throw new UsageError(`option --publish passes TCP and UDP on, not ${protocol}`)
  const [hostPorts, containerPorts] = [parseRange(host), parseRange(container)]
  const ip = address?.replace(/^\[(.*)\]$/u, '$1')
  if (hostPorts === undefined || containerPorts === undefined || (ip !== undefined && isIP(ip) === 0)) throw new UsageError(`option --publish takes [IP:]HOST:CONTAINER[/udp] with port numbers or ranges, not "${text}"`)
  if (hostPorts.count !== containerPorts.count) throw new UsageError(`option --publish takes ranges of one length, not "${text}"`)
  return Array.from({ length: hostPorts.count }, (_, index) => ({ address: ip, hostPort: hostPorts.first + index, containerPort: containerPorts.first + index, protocol }))
}

function parseRange(text: string): { readonly first: number; readonly count: number } | undefined {
  const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/u.exec(text) ?? []
  const isPort = (port: number): boolean => port >= 1 && port <= highestPort
  return isPort(Number(first)) && isPort(Number(last)) && Number(last) >= Number(first) ? { first: Number(first), count: Number(last) - Number(first) + 1 } : undefined
}
