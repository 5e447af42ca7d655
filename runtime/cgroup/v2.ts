import { closeSync, constants, openSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { getAddon } from '../../native/index.ts'
import { isDelegated } from './delegation.ts'
import { deviceProgram } from './device-program.ts'
import type { CgroupDriver } from './driver.ts'
import { blockDeviceNumber, defaultCpuPeriodUs, isThere, readCounter, readKeyedCounter, sumCounters, writeLimit } from './driver.ts'
import type { CgroupHierarchy } from './hierarchies.ts'
import { readWords } from './hierarchies.ts'
import { findStranger, vacate } from './vacate.ts'
import type { Pressure } from '../container-exit.ts'
import type { Limits } from '../container-spec.ts'
import type { CgroupController } from '../errors.ts'
import { LimitNotApplicable } from '../errors.ts'

/** @see Documentation/admin-guide/cgroup-v2.rst of the kernel */
export const v2Driver: CgroupDriver = {
  findParent,

  applyLimits(folder, controller, limits) {
    limiters[controller]?.(limits, (file, value) => { writeLimit({ folder, controller, file }, String(value)) }, folder)
  },

  allowDevices(folder, rules) {
    const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      getAddon().attachDeviceProgram(fd, deviceProgram(rules))
    } catch (error) {
      if (isErrno(error, 'EPERM', 'ENOSYS', 'EINVAL')) throw new LimitNotApplicable('devices', `the kernel takes no device program for ${folder}: ${error.code}`, { cause: error })
      throw error
    } finally {
      closeSync(fd)
    }
  },

  readUsage(folder, controller) {
    switch (controller) {
      case 'memory': return {
        memoryPeakBytes: readCounter(folder, 'memory.peak'), memoryCurrentBytes: readCounter(folder, 'memory.current'),
        oomKills: readKeyedCounter(folder, 'memory.events', 'oom_kill'), pressure: readPressure(folder),
      }
      case 'pids': return { pidsPeak: readCounter(folder, 'pids.peak'), pidsDenied: readKeyedCounter(folder, 'pids.events', 'max') }
      case 'cpu': {
        const milliseconds = (key: string): number | undefined => {
          const microseconds = readKeyedCounter(folder, 'cpu.stat', key)
          return microseconds === undefined ? undefined : microseconds / 1000
        }
        return {
          cpuMs: milliseconds('usage_usec'), cpuPeriods: readKeyedCounter(folder, 'cpu.stat', 'nr_periods'),
          cpuThrottledPeriods: readKeyedCounter(folder, 'cpu.stat', 'nr_throttled'), cpuThrottledMs: milliseconds('throttled_usec'),
        }
      }
      case 'io': return {
        ioReadBytes: sumCounters(folder, 'io.stat', 'rbytes'), ioWriteBytes: sumCounters(folder, 'io.stat', 'wbytes'),
        ioReads: sumCounters(folder, 'io.stat', 'rios'), ioWrites: sumCounters(folder, 'io.stat', 'wios'),
      }
      case 'cpuset': case 'hugetlb': case 'devices': return {}
    }
  },
}

type Write = (file: string, value: number | string) => void

const limiters: Partial<Readonly<Record<CgroupController, (limits: Limits, write: Write, folder: string) => void>>> = {
  memory({ memoryBytes, memorySwapBytes, memoryReservationBytes, memorySwappiness }, write, folder) {
    if (memorySwappiness !== undefined) throw new LimitNotApplicable('memory', 'version 2 of cgroups has no swappiness of a group; leave --memory-swappiness out')
    if (memoryReservationBytes !== undefined) write('memory.low', memoryReservationBytes)
    if (memoryBytes === undefined) return
    write('memory.max', memoryBytes)
    if (memorySwapBytes !== undefined) write('memory.swap.max', memorySwapBytes === -1 ? 'max' : memorySwapBytes - memoryBytes)
    else if (isThere(folder, 'memory.swap.max')) write('memory.swap.max', memoryBytes)
  },

  cpu({ cpus, cpuShares, cpuPeriodUs = defaultCpuPeriodUs }, write) {
    if (cpuShares !== undefined) write('cpu.weight', toCpuWeight(cpuShares))
    if (cpus !== undefined) write('cpu.max', `${Math.round(cpus * cpuPeriodUs)} ${cpuPeriodUs}`)
  },

  pids({ pids = -1 }, write) {
    if (pids !== -1) write('pids.max', pids)
  },

  cpuset({ cpusetCpus, cpusetMems }, write) {
    if (cpusetCpus !== undefined) write('cpuset.cpus', cpusetCpus)
    if (cpusetMems !== undefined) write('cpuset.mems', cpusetMems)
  },

  io({ blkioWeight, deviceRates = [] }, write, folder) {
    if (blkioWeight !== undefined) {
      if (isThere(folder, 'io.bfq.weight')) write('io.bfq.weight', blkioWeight)
      else write('io.weight', `default ${Math.round(1 + (blkioWeight - 10) * 9999 / 990)}`)
    }
    for (const rate of deviceRates) write('io.max', `${blockDeviceNumber(rate)} ${rate.operation === 'read' ? 'r' : 'w'}${rate.unit === 'bytes' ? 'bps' : 'iops'}=${rate.perSecond}`)
  },

  hugetlb({ hugetlbBytes = {} }, write) {
    for (const [size, bytes] of Object.entries(hugetlbBytes)) write(`hugetlb.${size}.max`, bytes)
  },
}

/** Both scales have a usual value, 1024 and 100, and ends, 2 to 262144 and 1 to 10000: a curve through these three, as runc and crun have it. */
export function toCpuWeight(shares: number): number {
  const power = Math.log2(shares)
  return Math.min(10_000, Math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34)))
}

function readPressure(folder: string): Pressure | undefined {
  const [cpu, memory, io] = ['cpu', 'memory', 'io'].map((kind) => sumCounters(folder, `${kind}.pressure`, 'some .* total'))
  if (cpu === undefined || memory === undefined || io === undefined) return undefined
  return { cpuMs: cpu / 1000, memoryMs: memory / 1000, ioMs: io / 1000 }
}

/**
 * The nearest group, from our own upwards, that gives these controllers to its children. Our own usually cannot, because
 * a group with processes may not (except the root): then limits of the groups above it still hold for the container.
 */
function findParent(hierarchy: CgroupHierarchy, controllers: readonly CgroupController[]): string {
  const candidates = [...ancestors(hierarchy)]
  const needed = controllers.filter((controller) => controller !== 'devices')
  const found = candidates.find((folder) => lacking(folder, needed).length === 0) ?? candidates.find((folder) => enable(folder, lacking(folder, needed)))
  if (found !== undefined) return found
  const stranger = findStranger(hierarchy.ownGroup)
  if (stranger === undefined && isAvailable(hierarchy.ownGroup, needed) && vacate(hierarchy.ownGroup) && enable(hierarchy.ownGroup, lacking(hierarchy.ownGroup, needed))) return hierarchy.ownGroup
  const missing = needed.find((controller) => !hierarchy.controllers.includes(controller)) ?? needed[0] ?? 'memory'
  throw new LimitNotApplicable(missing, hierarchy.controllers.includes(missing)
    ? describeLack(hierarchy.ownGroup, missing, stranger)
    : `the ${missing} controller is not available in ${hierarchy.mountPoint}`)
}

function isAvailable(folder: string, controllers: readonly CgroupController[]): boolean {
  const available = readWords(join(folder, 'cgroup.controllers'))
  return controllers.every((controller) => available.includes(controller))
}

const remedy = 'start tsbuild in a group of its own: systemd-run --user --scope -p Delegate=yes tsbuild …'

function describeLack(group: string, controller: CgroupController, stranger: string | undefined): string {
  if (!isAvailable(group, [controller])) return `${group} does not get the ${controller} controller from the groups above it; ${remedy}`
  if (!isDelegated({ kind: 'v2', ownGroup: group })) return `no cgroup from ${group} upwards delegates the ${controller} controller to us; ${remedy}`
  return `${group} cannot give the ${controller} controller to containers${stranger === undefined ? '' : ` while ${stranger} is in it`}; ${remedy}`
}

function* ancestors(hierarchy: CgroupHierarchy): Generator<string> {
  for (let folder = hierarchy.ownGroup; folder.startsWith(hierarchy.mountPoint); folder = dirname(folder)) {
    yield folder
    if (folder === hierarchy.mountPoint) return
  }
}

function lacking(folder: string, controllers: readonly CgroupController[]): CgroupController[] {
  const given = readWords(join(folder, 'cgroup.subtree_control'))
  return controllers.filter((controller) => !given.includes(controller))
}

function enable(folder: string, controllers: readonly CgroupController[]): boolean {
  if (!isAvailable(folder, controllers)) return false
  try {
    writeFileSync(join(folder, 'cgroup.subtree_control'), controllers.map((controller) => `+${controller}`).join(' '), { flag: 'r+' })
    return true
  } catch (error) {
    /* EBUSY: it has processes of its own. EOPNOTSUPP: it is threaded. */
    if (isErrno(error, 'EBUSY', 'EACCES', 'EPERM', 'EROFS', 'EOPNOTSUPP')) return false
    throw error
  }
}
