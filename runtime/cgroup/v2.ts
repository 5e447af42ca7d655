import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { CgroupDriver } from './driver.ts'
import { cpuPeriodUs, readCounter, readKeyedCounter, writeLimit } from './driver.ts'
import type { CgroupHierarchy } from './hierarchies.ts'
import { readWords } from './hierarchies.ts'
import type { CgroupController } from '../errors.ts'
import { LimitNotApplicable } from '../errors.ts'

/** @see Documentation/admin-guide/cgroup-v2.rst of the kernel */
export const v2Driver: CgroupDriver = {
  findParent,

  applyLimits(folder, controller, limits) {
    if (controller === 'memory' && limits.memoryBytes !== undefined) {
      writeLimit({ folder, controller, file: 'memory.max' }, String(limits.memoryBytes))
      const swap = limits.memorySwapBytes
      if (swap !== undefined) writeLimit({ folder, controller, file: 'memory.swap.max' }, swap === -1 ? 'max' : String(swap - limits.memoryBytes))
    }
    if (controller === 'cpu' && limits.cpus !== undefined) writeLimit({ folder, controller, file: 'cpu.max' }, `${Math.round(limits.cpus * cpuPeriodUs)} ${cpuPeriodUs}`)
    if (controller === 'pids' && limits.pids !== undefined) writeLimit({ folder, controller, file: 'pids.max' }, String(limits.pids))
  },

  readUsage(folder, controller) {
    switch (controller) {
      case 'memory': return { memoryPeakBytes: readCounter(folder, 'memory.peak'), oomKills: readKeyedCounter(folder, 'memory.events', 'oom_kill') }
      case 'pids': return { pidsPeak: readCounter(folder, 'pids.peak'), pidsDenied: readKeyedCounter(folder, 'pids.events', 'max') }
      case 'cpu': {
        const usageUs = readKeyedCounter(folder, 'cpu.stat', 'usage_usec')
        return usageUs === undefined ? {} : { cpuMs: usageUs / 1000 }
      }
    }
  },
}

/**
 * The nearest group, from our own upwards, that gives these controllers to its children. Our own usually cannot, because
 * a group with processes may not (except the root): then limits of the groups above it still hold for the container.
 */
function findParent(hierarchy: CgroupHierarchy, controllers: readonly CgroupController[]): string {
  const candidates = [...ancestors(hierarchy)]
  const found = candidates.find((folder) => lacking(folder, controllers).length === 0) ?? candidates.find((folder) => enable(folder, lacking(folder, controllers)))
  if (found !== undefined) return found
  const missing = controllers.find((controller) => !hierarchy.controllers.includes(controller)) ?? controllers[0] ?? 'memory'
  throw new LimitNotApplicable(missing, hierarchy.controllers.includes(missing)
    ? `no cgroup from ${hierarchy.ownGroup} upwards delegates the ${missing} controller to us`
    : `the ${missing} controller is not available in ${hierarchy.mountPoint}`)
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
  const available = readWords(join(folder, 'cgroup.controllers'))
  if (!controllers.every((controller) => available.includes(controller))) return false
  try {
    writeFileSync(join(folder, 'cgroup.subtree_control'), controllers.map((controller) => `+${controller}`).join(' '), { flag: 'r+' })
    return true
  } catch (error) {
    /* EBUSY: it has processes of its own. EOPNOTSUPP: it is threaded. */
    if (isErrno(error, 'EBUSY', 'EACCES', 'EPERM', 'EROFS', 'EOPNOTSUPP')) return false
    throw error
  }
}
