import type { CgroupParts, GroupFile } from '../cgroup/container-cgroup.ts'
import { deviceRules } from '../cgroup/device-rules.ts'
import type { DeviceRule } from '../cgroup/driver.ts'
import { defaultCpuPeriodUs } from '../cgroup/driver.ts'
import type { CgroupHierarchy } from '../cgroup/hierarchies.ts'
import type { ContainerSpec, DeviceRate, Limits } from '../container-spec.ts'
import type { CgroupController } from '../errors.ts'
import { InvalidSpec } from '../errors.ts'
import type { ConfigNode } from './config-node.ts'

interface CgroupConfig {
  readonly linux: ConfigNode
  readonly spec: ContainerSpec
  readonly hierarchies: readonly CgroupHierarchy[]
}

/** Groups that stay when we have ended. An absolute path begins at the top of each hierarchy, another one at our own group. */
export function bundleCgroup({ linux, spec, hierarchies }: CgroupConfig): CgroupParts {
  const asked = linux.text('cgroupsPath') ?? ''
  if (asked.split('/').includes('..') || /^\/*$/u.test(asked) && asked !== '') throw new InvalidSpec('linux.cgroupsPath', asked, 'the path of a group of the container\'s own')
  if (/^[^/]*:[^/]*:/u.test(asked)) throw new InvalidSpec('linux.cgroupsPath', asked, 'a path: slices of systemd are not made here')
  const resources = linux.child('resources')
  resources.refuse(['network', 'rdma'])
  return {
    id: spec.id,
    path: asked === '' ? `tsbuild-oci-${spec.id}` : asked,
    limits: readLimits(resources),
    files: readFiles(resources),
    devices: readDevices(resources, spec),
    hierarchies: asked.startsWith('/') ? hierarchies.map((hierarchy) => ({ ...hierarchy, ownGroup: hierarchy.mountPoint })) : hierarchies,
  }
}

function readLimits(resources: ConfigNode): Limits {
  const memory = resources.child('memory')
  memory.refuse(['kernel', 'kernelTCP'], 'nothing: the kernel has no such limit any more')
  const cpu = resources.child('cpu')
  cpu.refuse(['realtimeRuntime', 'realtimePeriod', 'idle', 'burst'])
  const quota = positive(cpu.number('quota'))
  const period = positive(cpu.number('period'))
  const hugetlb = resources.children('hugepageLimits').map((node) => [node.needText('pageSize'), node.needNumber('limit')] as const)
  const block = resources.child('blockIO')
  block.refuse(['leafWeight', 'weightDevice'])
  const deviceRates = readRates(block)
  const all: { readonly [K in keyof Limits]: Limits[K] | undefined } = {
    memoryBytes: positive(memory.number('limit')),
    memorySwapBytes: present(memory.number('swap')),
    memoryReservationBytes: positive(memory.number('reservation')),
    memorySwappiness: memory.number('swappiness'),
    cpus: quota === undefined ? undefined : quota / (period ?? defaultCpuPeriodUs),
    cpuPeriodUs: period,
    cpuShares: positive(cpu.number('shares')),
    cpusetCpus: filled(cpu.text('cpus')),
    cpusetMems: filled(cpu.text('mems')),
    pids: present(resources.child('pids').number('limit')),
    blkioWeight: positive(block.number('weight')),
    deviceRates: deviceRates.length === 0 ? undefined : deviceRates,
    hugetlbBytes: hugetlb.length === 0 ? undefined : Object.fromEntries(hugetlb),
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

const rates = [['throttleReadBpsDevice', 'read', 'bytes'], ['throttleWriteBpsDevice', 'write', 'bytes'], ['throttleReadIOPSDevice', 'read', 'operations'], ['throttleWriteIOPSDevice', 'write', 'operations']] as const

function readRates(block: ConfigNode): DeviceRate[] {
  return rates.flatMap(([field, operation, unit]) => block.children(field).map((node) =>
    ({ device: `${node.needNumber('major')}:${node.needNumber('minor')}`, operation, unit, perSecond: node.needNumber('rate') })))
}

const unifiedControllers: Readonly<Record<string, CgroupController>> = { memory: 'memory', pids: 'pids', cpu: 'cpu', cpuset: 'cpuset', io: 'io', hugetlb: 'hugetlb' }

function readFiles(resources: ConfigNode): GroupFile[] {
  const unified = Object.entries(resources.pairs('unified')).map(([file, value]): GroupFile => {
    const controller = unifiedControllers[file.split('.')[0] ?? '']
    if (controller === undefined || !/^[a-z]+(?:\.[\w-]+)+$/u.test(file)) throw new InvalidSpec(`linux.resources.unified.${file}`, value, `a file of ${Object.keys(unifiedControllers).join(', ')}`)
    return { kind: 'v2', controller, file, value }
  })
  const isOomOff = resources.child('memory').flag('disableOOMKiller')
  return [...unified, ...(isOomOff ? [{ kind: 'v1', controller: 'memory', file: 'memory.oom_control', value: '1' } as const] : [])]
}

function filled(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

/** -1 and 0 are no limit. */
function positive(value: number | undefined): number | undefined {
  return value === undefined || value <= 0 ? undefined : value
}

function present(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value
}

/** Either everything is allowed, or it is forbidden first and the usual devices and those named are allowed. */
function readDevices(resources: ConfigNode, spec: ContainerSpec): readonly DeviceRule[] | undefined {
  const [first, ...rest] = resources.children('devices')
  if (first === undefined || (first.flag('allow') && isAll(first) && rest.length === 0)) return undefined
  if (first.flag('allow') || !isAll(first)) throw new InvalidSpec(first.field, first.text('access'), 'a rule that forbids all devices, or allows all, as the first')
  return [...deviceRules(spec) ?? [], ...rest.map(readRule)]
}

function isAll(rule: ConfigNode): boolean {
  return ['', 'a'].includes(rule.text('type') ?? '') && [rule.number('major') ?? -1, rule.number('minor') ?? -1].every((number) => number === -1) && ['', 'rwm'].includes(rule.text('access') ?? '')
}

function readRule(rule: ConfigNode): DeviceRule {
  const kind = rule.text('type')
  if (!rule.flag('allow')) throw new InvalidSpec(`${rule.field}.allow`, false, 'true in every rule but the first')
  if (kind !== 'b' && kind !== 'c') throw new InvalidSpec(`${rule.field}.type`, kind, 'b or c')
  const number = (name: string): number | undefined => {
    const value = rule.number(name)
    return value === -1 ? undefined : value
  }
  return { kind, major: number('major'), minor: number('minor'), permissions: rule.needText('access') }
}
