import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { capabilityMasks } from '../capabilities.ts'
import type { ContainerCgroup, CgroupParts } from '../cgroup/container-cgroup.ts'
import type { CapabilitySets, ClockOffsets, ContainerSpec, Isolation, NamespaceChoice, Network, Privilege, ProcessSpec, Ulimit } from '../container-spec.ts'
import { InvalidSpec } from '../errors.ts'
import type { Console, Places } from '../helper-protocol.ts'
import type { HostSupport } from '../host-support.ts'
import { getHost } from '../host-support.ts'
import { validateSpec } from '../validate-spec.ts'
import { bundleMounts, propagations } from './bundle-mounts.ts'
import { bundleCgroup } from './bundle-cgroup.ts'
import { bundleSeccomp } from './bundle-seccomp.ts'
import { ConfigNode } from './config-node.ts'
import type { OciExec } from './exec-process.ts'
import type { Hook } from './hooks.ts'
import { readHooks } from './hooks.ts'

/** A bundle as this runtime takes it. */
export interface OciBundle {
  readonly spec: ContainerSpec
  readonly cgroup: CgroupParts
  readonly annotations: Readonly<Record<string, string>>
  readonly hooks: readonly Hook[]
  readonly hasTerminal: boolean
  readonly consoleSize: Pick<Console, 'rows' | 'columns'>
  readonly places: (cgroup: ContainerCgroup) => Places
}

/** @throws {InvalidSpec} naming the field of config.json that asks for what cannot be done */
export function readBundle(bundle: string, id: string, host: HostSupport): OciBundle {
  const config = new ConfigNode(readConfig(join(bundle, 'config.json')), '')
  if (!/^1\./u.test(config.needText('ociVersion'))) throw new InvalidSpec('ociVersion', config.text('ociVersion'), '1.x')
  config.refuse(['solaris', 'windows', 'vm', 'zos'], 'a container of Linux')
  const linux = config.child('linux')
  linux.refuse(['uidMappings', 'gidMappings', 'netDevices', 'intelRdt', 'mountLabel', 'personality', 'memoryPolicy'])
  const propagation = linux.text('rootfsPropagation') ?? ''
  const rootPropagation = propagation === 'shared' || propagation === 'rshared' ? 'shared' : propagations[propagation]
  if (propagation !== '' && rootPropagation === undefined) throw new InvalidSpec('linux.rootfsPropagation', propagation, ['shared', 'rshared', ...Object.keys(propagations)].join(', '))
  const root = config.child('root')
  const specId = /^[a-z0-9-]{1,64}$/u.test(id) ? id : createHash('sha256').update(id).digest('hex')
  const spec: ContainerSpec = {
    id: specId,
    rootfs: { kind: 'directory', path: resolve(bundle, root.needText('path')) },
    process: readProcess(config.child('process')),
    isolation: readIsolation(config, linux),
    mounts: [],
    limits: {},
    privilege: { ...readPrivilege(config.child('process'), linux, host), readonlyRootfs: root.flag('readonly') },
  }
  const mounts = bundleMounts({ mounts: config.children('mounts'), devices: linux.children('devices'), bundle })
  const masked = absolutePaths(linux, 'maskedPaths')
  const readonly = absolutePaths(linux, 'readonlyPaths')
  const cgroup = bundleCgroup({ linux, spec, hierarchies: host.hierarchies })
  validateSpec({ ...spec, limits: cgroup.limits })
  return {
    spec,
    cgroup,
    annotations: config.pairs('annotations'),
    hooks: readHooks(config.child('hooks')),
    ...readTerminal(config.child('process')),
    places: (made) => ({
      mounts: mounts(made),
      ...(rootPropagation === undefined ? {} : { rootPropagation }),
      masked,
      readonly,
      settings: Object.entries(spec.isolation.sysctls ?? {}).map(([name, value]) => [name.replaceAll('.', '/'), value]),
    }),
  }
}

function absolutePaths(linux: ConfigNode, name: string): readonly string[] {
  const paths = linux.texts(name)
  const wrong = paths.find((path) => !path.startsWith('/'))
  if (wrong !== undefined) throw new InvalidSpec(`linux.${name}`, wrong, 'absolute paths')
  return paths
}

/** What `exec --process` names: an object as `process` of config.json, whose privileges are the container's where it has none. @throws {InvalidSpec} */
export function readExecProcess(path: string, { privilege }: { readonly privilege: Privilege }): Omit<OciExec, 'fds'> {
  const node = new ConfigNode(readConfig(path), 'process')
  const own = node.raw('capabilities') === undefined ? {} : { capabilitySets: readCapabilities(node, getHost()) }
  const { apparmorProfile, selinuxLabel } = readLabels(node)
  return {
    process: readProcess(node),
    privilege: { ...privilege, ...own, noNewPrivileges: node.flag('noNewPrivileges'), ...(apparmorProfile === undefined ? {} : { apparmorProfile }), ...(selinuxLabel === undefined ? {} : { selinuxLabel }) },
    hasTerminal: readTerminal(node).hasTerminal,
  }
}

function readConfig(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) throw new InvalidSpec('config.json', path, `JSON: ${error.message}`)
    if (isErrno(error, 'ENOENT')) throw new InvalidSpec('config.json', path, 'a file that is there')
    throw error
  }
}

function readTerminal(process: ConfigNode): Pick<OciBundle, 'hasTerminal' | 'consoleSize'> {
  const size = process.child('consoleSize')
  return { hasTerminal: process.flag('terminal'), consoleSize: { rows: size.number('height'), columns: size.number('width') } }
}

function readProcess(process: ConfigNode): ProcessSpec {
  process.refuse(['ioPriority', 'scheduler', 'execCPUAffinity'])
  const user = process.child('user')
  const umask = user.number('umask')
  const oomScoreAdj = process.number('oomScoreAdj')
  return {
    args: process.texts('args'),
    env: process.texts('env'),
    cwd: process.needText('cwd'),
    user: { uid: user.number('uid') ?? 0, gid: user.number('gid') ?? 0, groups: user.numbers('additionalGids') },
    ulimits: process.children('rlimits').map(readLimit),
    ...(umask === undefined ? {} : { umask }),
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
  }
}

function readLimit(limit: ConfigNode): Ulimit {
  return { name: limit.needText('type').replace(/^RLIMIT_/u, '').toLowerCase(), soft: limitValue(limit.needNumber('soft')), hard: limitValue(limit.needNumber('hard')) }
}

/** RLIM_INFINITY is 2^64 - 1, which loses its last digits on the way through JSON. */
function limitValue(value: number): number {
  return value >= 2 ** 63 ? -1 : value
}

function readIsolation(config: ConfigNode, linux: ConfigNode): Isolation {
  const found = new Map(linux.children('namespaces').map((node) => [node.needText('type'), node]))
  const choose = (type: string): NamespaceChoice | undefined => {
    const node = found.get(type)
    const path = node?.text('path') ?? ''
    return node === undefined ? { kind: 'host' } : path === '' ? undefined : { kind: 'joined', path }
  }
  const clockOffsets = readClocks(linux, found.get('time'))
  const users = found.get('user')
  if (users !== undefined) throw new InvalidSpec(`${users.field}.type`, 'user', 'no user namespace, which this runtime does not make for bundles: runc and crun do, and "tsbuild run --userns"')
  for (const [type, node] of found) if (!namespaceTypes.includes(type)) throw new InvalidSpec(`${node.field}.type`, type, namespaceTypes.join(', '))
  if (choose('mount') !== undefined) throw new InvalidSpec('linux.namespaces', choose('mount')?.kind, 'a new mount namespace')
  const namespaces = Object.fromEntries((['pid', 'ipc', 'uts', 'cgroup'] as const).flatMap((type) => {
    const choice = choose(type)
    return choice === undefined ? [] : [[type, choice]]
  }))
  const network = choose('network')
  const domainname = config.text('domainname')
  return {
    hostname: config.text('hostname') ?? hostname(),
    ...(domainname === undefined ? {} : { domainname }),
    network: readNetwork(network),
    namespaces,
    ...(clockOffsets === undefined ? {} : { clockOffsets }),
    sysctls: linux.pairs('sysctl'),
  }
}

const namespaceTypes: readonly string[] = ['mount', 'pid', 'ipc', 'uts', 'cgroup', 'network', 'time']

function readClocks(linux: ConfigNode, namespace: ConfigNode | undefined): ClockOffsets | undefined {
  const offsets = linux.child('timeOffsets')
  if (namespace === undefined) {
    linux.refuse(['timeOffsets'], 'nothing without a time namespace')
    return undefined
  }
  namespace.refuse(['path'], 'a time namespace of the container\'s own')
  const read = (clock: string): number => {
    const offset = offsets.child(clock)
    return (offset.number('secs') ?? 0) + (offset.number('nanosecs') ?? 0) / 1e9
  }
  return { monotonic: read('monotonic'), boottime: read('boottime') }
}

function readNetwork(choice: NamespaceChoice | undefined): Network {
  if (choice === undefined) return { mode: 'none' }
  return choice.kind === 'host' ? { mode: 'host' } : { mode: 'joined', path: choice.path }
}

function readPrivilege(process: ConfigNode, linux: ConfigNode, host: HostSupport): Privilege {
  return {
    capabilitySets: readCapabilities(process, host),
    noNewPrivileges: process.flag('noNewPrivileges'),
    seccomp: bundleSeccomp(linux),
    ...readLabels(process),
  }
}

function readLabels(process: ConfigNode): Pick<Privilege, 'apparmorProfile' | 'selinuxLabel'> {
  const apparmorProfile = process.text('apparmorProfile') ?? ''
  const selinuxLabel = process.text('selinuxLabel') ?? ''
  return { ...(apparmorProfile === '' ? {} : { apparmorProfile }), ...(selinuxLabel === '' ? {} : { selinuxLabel }) }
}

/** @throws {InvalidSpec} a name that is none, or not held by us, or a set that another has to hold */
function readCapabilities(process: ConfigNode, host: HostSupport): CapabilitySets {
  const node = process.child('capabilities')
  const sets = { bounding: node.texts('bounding'), effective: node.texts('effective'), permitted: node.texts('permitted'), inheritable: node.texts('inheritable'), ambient: node.texts('ambient') }
  capabilityMasks({ capabilitySets: sets }, { uid: 0, held: host.capabilities })
  for (const [set, names, others] of [['effective', sets.effective, sets.permitted], ['ambient', sets.ambient, sets.permitted], ['ambient', sets.ambient, sets.inheritable]] as const) {
    const wrong = names.find((name) => !others.includes(name))
    if (wrong !== undefined) throw new InvalidSpec(`process.capabilities.${set}`, wrong, set === 'effective' ? 'what the permitted set holds' : 'what the permitted and inheritable sets hold')
  }
  return sets
}
