import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { CgroupDriver } from './driver.ts'
import { blockDeviceNumber, defaultCpuPeriodUs, isThere, readCounter, readKeyedCounter, sumCounters, writeLimit, writeLimits } from './driver.ts'
import type { Limits } from '../container-spec.ts'
import type { CgroupController } from '../errors.ts'

/** @see Documentation/admin-guide/cgroup-v1/ of the kernel */
export const v1Driver: CgroupDriver = {
  findParent: (hierarchy) => hierarchy.ownGroup,

  applyLimits(folder, controller, limits) {
    limiters[controller]?.(limits, (file, value) => { writeLimit({ folder, controller, file }, String(value)) }, folder)
  },

  allowDevices(folder, rules) {
    const controller = 'devices'
    writeLimit({ folder, controller, file: 'devices.deny' }, 'a')
    writeLimits({ folder, controller, file: 'devices.allow' }, rules.map(({ kind, major, minor, permissions }) => `${kind} ${major ?? '*'}:${minor ?? '*'} ${permissions}`))
  },

  readUsage(folder, controller) {
    switch (controller) {
      case 'memory': return {
        memoryPeakBytes: readCounter(folder, 'memory.max_usage_in_bytes'),
        memoryCurrentBytes: readCounter(folder, 'memory.usage_in_bytes'),
        oomKills: readKeyedCounter(folder, 'memory.oom_control', 'oom_kill'),
      }
      case 'pids': return { pidsPeak: readCounter(folder, 'pids.peak'), pidsDenied: readKeyedCounter(folder, 'pids.events', 'max') }
      case 'cpu': {
        const throttledNs = readKeyedCounter(folder, 'cpu.stat', 'throttled_time')
        return {
          cpuPeriods: readKeyedCounter(folder, 'cpu.stat', 'nr_periods'),
          cpuThrottledPeriods: readKeyedCounter(folder, 'cpu.stat', 'nr_throttled'),
          cpuThrottledMs: throttledNs === undefined ? undefined : throttledNs / 1e6,
        }
      }
      case 'io': return {
        ioReadBytes: sumCounters(folder, 'blkio.throttle.io_service_bytes', 'Read'), ioWriteBytes: sumCounters(folder, 'blkio.throttle.io_service_bytes', 'Write'),
        ioReads: sumCounters(folder, 'blkio.throttle.io_serviced', 'Read'), ioWrites: sumCounters(folder, 'blkio.throttle.io_serviced', 'Write'),
      }
      case 'cpuset': case 'hugetlb': case 'devices': return {}
    }
  },
}

type Write = (file: string, value: number | string) => void

const limiters: Partial<Readonly<Record<CgroupController, (limits: Limits, write: Write, folder: string) => void>>> = {
  memory({ memoryBytes, memorySwapBytes, memoryReservationBytes, memorySwappiness }, write, folder) {
    if (memoryReservationBytes !== undefined) write('memory.soft_limit_in_bytes', memoryReservationBytes)
    if (memorySwappiness !== undefined) write('memory.swappiness', memorySwappiness)
    if (memoryBytes === undefined) return
    write('memory.limit_in_bytes', memoryBytes)
    if (memorySwapBytes !== undefined) write('memory.memsw.limit_in_bytes', memorySwapBytes)
    else if (isThere(folder, 'memory.memsw.limit_in_bytes')) write('memory.memsw.limit_in_bytes', memoryBytes * 2)
  },

  cpu({ cpus, cpuShares, cpuPeriodUs = defaultCpuPeriodUs }, write) {
    if (cpuShares !== undefined) write('cpu.shares', cpuShares)
    if (cpus === undefined) return
    write('cpu.cfs_period_us', cpuPeriodUs)
    write('cpu.cfs_quota_us', Math.round(cpus * cpuPeriodUs))
  },

  pids({ pids = -1 }, write) {
    if (pids !== -1) write('pids.max', pids)
  },

  /** A group of this kind takes no process before both are set: what is not asked for is what the parent has. */
  cpuset({ cpusetCpus, cpusetMems }, write, folder) {
    write('cpuset.cpus', cpusetCpus ?? readList(folder, 'cpuset.cpus'))
    write('cpuset.mems', cpusetMems ?? readList(folder, 'cpuset.mems'))
  },

  io({ blkioWeight, deviceRates = [] }, write, folder) {
    if (blkioWeight !== undefined) write(isThere(folder, 'blkio.weight') ? 'blkio.weight' : 'blkio.bfq.weight', blkioWeight)
    for (const rate of deviceRates) write(`blkio.throttle.${rate.operation}_${rate.unit === 'bytes' ? 'bps' : 'iops'}_device`, `${blockDeviceNumber(rate)} ${rate.perSecond}`)
  },

  hugetlb({ hugetlbBytes = {} }, write) {
    for (const [size, bytes] of Object.entries(hugetlbBytes)) write(`hugetlb.${size}.limit_in_bytes`, bytes)
  },
}

function readList(folder: string, file: string): string {
  return readFileSync(join(dirname(folder), file), 'utf8').trim()
}
