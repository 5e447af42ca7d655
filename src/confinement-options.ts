import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { Confinement, HostEntry } from '../builder/index.ts'
import type { Device, Executor, Privilege, Seccomp, Ulimit, UserNamespaceChoice } from '../runtime/index.ts'
import { chrootShortcomings, findUserNetwork, needsChroot } from '../runtime/index.ts'
import type { App } from './app.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { limitOptions, parseLimits } from './limit-options.ts'
import { parseChoice, parseSize } from './option-values.ts'
import type { FindInit } from './run-options.ts'
import { joinNamespace } from './run-options.ts'

/** What `build` and `run` share: how containers are confined. */
export const confinementOptions: readonly OptionSpec[] = [
  { name: 'network', aliases: ['net'], value: 'MODE', help: 'default (bridge; private for a plain user), bridge, private, pasta, slirp4netns, host or none' },
  { name: 'userns', value: 'MODE', help: 'Ids of containers that root makes: host (default), remap[:USER], auto[:size=N]; users by TSBUILD_USERNS_USER, default dockremap and containers' },
  { name: 'cap-add', value: 'NAME', isRepeatable: true, help: 'Add a capability, or ALL' },
  { name: 'cap-drop', value: 'NAME', isRepeatable: true, help: 'Drop a capability, or ALL' },
  { name: 'security-opt', value: 'OPTION', isRepeatable: true, help: 'seccomp=FILE|unconfined, no-new-privileges, apparmor=PROFILE, label=CONTEXT|disable, systempaths=unconfined' },
  ...limitOptions,
  { name: 'ulimit', value: 'NAME=SOFT[:HARD]', isRepeatable: true, help: 'Resource limit of processes, nofile=1024:4096' },
  { name: 'shm-size', value: 'SIZE', help: 'Size of /dev/shm (default 64m)' },
  { name: 'device', value: 'HOST[:CONTAINER[:rwm]]', isRepeatable: true, help: 'Device of the host' },
  { name: 'add-host', value: 'NAME:IP', isRepeatable: true, help: 'Line of /etc/hosts' },
  { name: 'dns', value: 'IP', isRepeatable: true, help: 'Name server, in place of the host\'s' },
  { name: 'dns-search', value: 'DOMAIN', isRepeatable: true, help: 'Domain that names are searched in' },
  { name: 'dns-option', aliases: ['dns-opt'], value: 'OPTION', isRepeatable: true, help: 'Option of resolv.conf' },
  { name: 'isolation', value: 'MODE', help: 'namespaces, chroot where nothing else can be had, or default: by what this host allows' },
  { name: 'runtime', value: 'NAME|PATH', help: 'Make containers with another OCI runtime: runc, crun, runsc' },
]

const networks = ['default', 'bridge', 'private', 'pasta', 'slirp4netns', 'host', 'none'] as const

/** @throws {UsageError} */
export function parseConfinement(options: OptionValues, env: NodeJS.ProcessEnv): Confinement {
  const word = parseChoice(options, 'network', networks) ?? 'default'
  const isProgram = word === 'pasta' || word === 'slirp4netns'
  return {
    ...parseCommon(options, env), network: isProgram ? 'private' : word, subnet: env['TSBUILD_SUBNET'],
    userNetwork: isProgram ? findUserNetwork(env, [word]) : findUserNetwork(env),
  }
}

/** As `parseConfinement`, and the network may be that of another container. @throws {UsageError} */
export function parseRunConfinement(options: OptionValues, env: NodeJS.ProcessEnv, findInit: FindInit): Confinement {
  const [, container] = /^container:(.+)$/u.exec(options.text('network') ?? '') ?? []
  if (container === undefined) return parseConfinement(options, env)
  const choice = joinNamespace(findInit(container), 'net')
  return { ...parseCommon(options, env), network: choice.kind === 'host' ? 'host' : { joined: choice.path }, subnet: undefined, userNetwork: findUserNetwork(env) }
}

function parseCommon(options: OptionValues, env: NodeJS.ProcessEnv): Omit<Confinement, 'network' | 'subnet' | 'userNetwork'> {
  return {
    limits: parseLimits(options),
    privilege: parsePrivilege(options),
    ulimits: options.texts('ulimit').map(parseUlimit),
    devices: options.texts('device').map(parseDevice),
    shmSizeBytes: parseSize(options, 'shm-size'),
    hosts: options.texts('add-host').map(parseHost),
    dns: { servers: options.texts('dns').map((text) => requireAddress('dns', text)), search: options.texts('dns-search'), options: options.texts('dns-option') },
    executor: parseExecutor(options),
    userNamespace: parseUserNamespace(options.text('userns') ?? 'host', env['TSBUILD_USERNS_USER']),
  }
}

/** As many ids as images use. */
const usualIdCount = 65_536

function parseUserNamespace(text: string, user: string | undefined): UserNamespaceChoice {
  const [, kind, detail] = /^(host|remap|auto)(?::(.+))?$/u.exec(text) ?? []
  if (kind === 'host' && detail === undefined) return { kind }
  if (kind === 'remap') return { kind, user: detail ?? user ?? 'dockremap' }
  const [, size] = /^size=(\d{1,9})$/u.exec(detail ?? `size=${usualIdCount}`) ?? []
  if (kind === 'auto' && Number(size) > 0) return { kind, user: user ?? 'containers', size: Number(size) }
  throw new UsageError(`option --userns takes host, remap, remap:USER, auto or auto:size=N, not "${text}"`)
}

function parseExecutor(options: OptionValues): Executor {
  const runtime = options.text('runtime')
  if (runtime === '') throw new UsageError('option --runtime takes the name or path of a program')
  const isolation = parseChoice(options, 'isolation', ['namespaces', 'chroot', 'default'])
  if (runtime !== undefined && isolation === 'chroot') throw new UsageError('options --runtime and --isolation chroot exclude each other')
  if (runtime !== undefined) return { kind: 'oci', runtime }
  return isolation === 'chroot' || ((isolation ?? 'default') === 'default' && needsChroot()) ? { kind: 'chroot' } : { kind: 'helper' }
}

/** What the user has to know before the first container starts. */
export function warnOfIsolation({ executor }: Pick<Confinement, 'executor'>, app: Pick<App, 'note'>): void {
  if (executor.kind === 'chroot') app.note(`warning: containers are isolated by chroot only: ${chrootShortcomings()}`)
}

function parsePrivilege(options: OptionValues): Privilege {
  const capAdd = options.texts('cap-add')
  const capDrop = options.texts('cap-drop')
  return options.texts('security-opt').reduce<Privilege>((privilege, text) => ({ ...privilege, ...parseSecurityOption(text) }), {
    ...(capAdd.length === 0 ? {} : { capAdd }),
    ...(capDrop.length === 0 ? {} : { capDrop }),
  })
}

/** `key=value`, or the older `key:value`. */
function parseSecurityOption(text: string): Privilege {
  const [, key = '', value = ''] = /^([^=:]+)(?:[=:](.*))?$/su.exec(text) ?? []
  switch (key) {
    case 'seccomp': return { seccomp: readSeccomp(value) }
    case 'no-new-privileges': return { noNewPrivileges: parseTruth(text, value) }
    case 'apparmor': return { apparmorProfile: requireValue(text, value) }
    case 'label': return value === 'disable' ? {} : { selinuxLabel: requireValue(text, value) }
    case 'systempaths':
      if (value !== 'unconfined') throw new UsageError(`option --security-opt takes systempaths=unconfined, not "${text}"`)
      return { systemPaths: 'unconfined' }
    default: throw new UsageError(`option --security-opt takes seccomp=, no-new-privileges, apparmor=, label= or systempaths=, not "${text}"`)
  }
}

function readSeccomp(value: string): Seccomp {
  if (value === 'unconfined') return { kind: 'unconfined' }
  const text = readFileSync(requireValue('seccomp', value), 'utf8')
  try {
    return { kind: 'profile', profile: JSON.parse(text) as unknown }
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`"${value}" is no seccomp profile: ${error.message}`)
    throw error
  }
}

function parseTruth(text: string, value: string): boolean {
  if (value === '' || value === 'true') return true
  if (value === 'false') return false
  throw new UsageError(`option --security-opt takes no-new-privileges=true or false, not "${text}"`)
}

function requireValue(text: string, value: string): string {
  if (value === '') throw new UsageError(`option --security-opt ${text} lacks its value`)
  return value
}

function parseUlimit(text: string): Ulimit {
  const [, name = '', soft = '', hard = soft] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/u.exec(text) ?? []
  if (name === '') throw new UsageError(`option --ulimit takes NAME=SOFT[:HARD], not "${text}"`)
  return { name, soft: Number(soft), hard: Number(hard) }
}

function parseDevice(text: string): Device {
  const [source = '', second, third, ...rest] = text.split(':')
  if (source === '' || rest.length > 0) throw new UsageError(`option --device takes HOST[:CONTAINER[:rwm]], not "${text}"`)
  const isPermissions = third === undefined && second !== undefined && /^[rwm]{1,3}$/u.test(second)
  return { source, target: second === undefined || isPermissions ? source : second, permissions: third ?? (isPermissions ? second : 'rwm') }
}

function parseHost(text: string): HostEntry {
  const [, name = '', address = ''] = /^([^:=]+)[:=](.+)$/u.exec(text) ?? []
  if (name === '') throw new UsageError(`option --add-host takes NAME:IP, not "${text}"`)
  return { name, address: address === 'host-gateway' ? address : requireAddress('add-host', address.replace(/^\[(.*)\]$/u, '$1')) }
}

function requireAddress(option: string, text: string): string {
  if (isIP(text) === 0) throw new UsageError(`option --${option} takes an IP address, not "${text}"`)
  return text
}
