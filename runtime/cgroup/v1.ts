import type { CgroupDriver } from './driver.ts'
import { cpuPeriodUs, readCounter, readKeyedCounter, writeLimit } from './driver.ts'

/** @see Documentation/admin-guide/cgroup-v1/ of the kernel */
export const v1Driver: CgroupDriver = {
  findParent: (hierarchy) => hierarchy.ownGroup,

  applyLimits(folder, controller, limits) {
    if (controller === 'memory' && limits.memoryBytes !== undefined) {
      writeLimit({ folder, controller, file: 'memory.limit_in_bytes' }, String(limits.memoryBytes))
      if (limits.memorySwapBytes !== undefined) writeLimit({ folder, controller, file: 'memory.memsw.limit_in_bytes' }, String(limits.memorySwapBytes))
    }
    if (controller === 'cpu' && limits.cpus !== undefined) {
      writeLimit({ folder, controller, file: 'cpu.cfs_period_us' }, String(cpuPeriodUs))
      writeLimit({ folder, controller, file: 'cpu.cfs_quota_us' }, String(Math.round(limits.cpus * cpuPeriodUs)))
    }
    if (controller === 'pids' && limits.pids !== undefined) writeLimit({ folder, controller, file: 'pids.max' }, String(limits.pids))
  },

  readUsage(folder, controller) {
    switch (controller) {
      case 'memory': return {
        memoryPeakBytes: readCounter(folder, 'memory.max_usage_in_bytes'),
        oomKills: readKeyedCounter(folder, 'memory.oom_control', 'oom_kill'),
      }
      case 'pids': return { pidsPeak: readCounter(folder, 'pids.peak'), pidsDenied: readKeyedCounter(folder, 'pids.events', 'max') }
      case 'cpu': return {}
    }
  },
}
