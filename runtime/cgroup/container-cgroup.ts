import { closeSync, constants, fstatSync, mkdirSync, openSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { getAddon } from '../../native/index.ts'
import type { CgroupDriver, CgroupUsage } from './driver.ts'
import type { CgroupHierarchy } from './hierarchies.ts'
import { findHierarchies } from './hierarchies.ts'
import { v1Driver } from './v1.ts'
import { v2Driver } from './v2.ts'
import type { Limits } from '../container-spec.ts'
import type { CgroupController } from '../errors.ts'
import { LimitNotApplicable } from '../errors.ts'

/** A container's groups, one in each hierarchy that limits or counts something for it. */
export interface ContainerCgroup {
  readonly groups: readonly ContainerGroup[]
  readUsage(): CgroupUsage
  /** To be called when no process is left in it. */
  remove(): void
}

export interface ContainerGroup {
  readonly hierarchy: CgroupHierarchy
  readonly folder: string
}

interface LockedGroup extends ContainerGroup {
  readonly driver: CgroupDriver
  readonly controllers: readonly CgroupController[]
  /** Our flock on the folder. The kernel lets it go when we die: whoever can take it then knows the group is stale. */
  readonly lockFd: number
}

/** What every container's group is called by; what follows is the container's id. */
const prefix = 'tsbuild-container-'
const drivers: Readonly<Record<CgroupHierarchy['kind'], CgroupDriver>> = { v1: v1Driver, v2: v2Driver }

/**
 * Makes the groups for what is limited, and for memory where that is possible, because peak and OOM kills are reported
 * for every container. Groups of dead owners in the same place are removed on the way.
 * @throws {LimitNotApplicable}
 */
export function createContainerCgroup(id: string, limits: Limits, hierarchies: readonly CgroupHierarchy[]): ContainerCgroup {
  const groups: LockedGroup[] = []
  try {
    for (const hierarchy of hierarchies) {
      const group = createGroup(id, limits, hierarchy)
      if (group === undefined) continue
      groups.push(group)
      for (const controller of group.controllers) group.driver.applyLimits(group.folder, controller, limits)
    }
    const missing = limitedControllers(limits).find((controller) => !groups.some((group) => group.controllers.includes(controller)))
    if (missing !== undefined) throw new LimitNotApplicable(missing, `no mounted cgroup hierarchy has the ${missing} controller`)
  } catch (error) {
    removeGroups(groups)
    throw error
  }
  return {
    groups,
    readUsage: () => groups.reduce<CgroupUsage>((usage, group) => ({ ...usage, ...readGroupUsage(group) }), {}),
    remove: () => { removeGroups(groups) },
  }
}

/**
 * Removes the groups that dead processes of ours left anywhere in the hierarchies visible here; those in use stay.
 * Returns the folders removed.
 */
export function removeStaleCgroups(): readonly string[] {
  return findHierarchies().flatMap((hierarchy) => sweepTree(hierarchy.mountPoint))
}

function sweepTree(folder: string): string[] {
  const inside = listFolders(folder).filter((name) => !name.startsWith(prefix)).flatMap((name) => sweepTree(join(folder, name)))
  return [...inside, ...sweep(folder)]
}

function sweep(parent: string): string[] {
  return listFolders(parent).filter((name) => name.startsWith(prefix)).map((name) => join(parent, name)).filter(removeIfStale)
}

function listFolders(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return []
    throw error
  }
}

function removeIfStale(folder: string): boolean {
  try {
    const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      if (!getAddon().tryLock(fd, true)) return false
      rmdirSync(folder)
      return true
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    /* Somebody else's, removed by another, or its last processes are still dying: the next start sees it again. */
    if (isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'EBUSY', 'EROFS')) return false
    throw error
  }
}

function limitedControllers(limits: Limits): CgroupController[] {
  const limited: CgroupController[] = []
  if (limits.memoryBytes !== undefined) limited.push('memory')
  if (limits.pids !== undefined) limited.push('pids')
  if (limits.cpus !== undefined) limited.push('cpu')
  return limited
}

/** undefined when this hierarchy has nothing to limit and cannot count. */
function createGroup(id: string, limits: Limits, hierarchy: CgroupHierarchy): LockedGroup | undefined {
  const limited = limitedControllers(limits).filter((controller) => hierarchy.controllers.includes(controller))
  const wanted: CgroupController[] = limited.includes('memory') || !hierarchy.controllers.includes('memory') ? limited : ['memory', ...limited]
  if (wanted.length === 0) return undefined
  const driver = drivers[hierarchy.kind]
  try {
    const parent = driver.findParent(hierarchy, wanted)
    sweepOnce(parent)
    return { hierarchy, driver, controllers: wanted, ...makeLockedFolder(join(parent, `${prefix}${id}`), wanted[0] ?? 'memory') }
  } catch (error) {
    if (error instanceof LimitNotApplicable && limited.length === 0) return undefined
    throw error
  }
}

const swept = new Set<string>()

function sweepOnce(parent: string): void {
  if (swept.has(parent)) return
  swept.add(parent)
  sweep(parent)
}

/** Between making and locking it, a sweep of another process can take it for stale; then it is made under another name. */
function makeLockedFolder(wanted: string, controller: CgroupController): Pick<LockedGroup, 'folder' | 'lockFd'> {
  for (let turn = 1; ; turn++) {
    const folder = turn === 1 ? wanted : `${wanted}-${turn}`
    makeFolder(folder, controller)
    const lockFd = lockFolder(folder)
    if (lockFd !== undefined) return { folder, lockFd }
  }
}

function makeFolder(folder: string, controller: CgroupController): void {
  try {
    mkdirSync(folder)
  } catch (error) {
    if (isErrno(error, 'EEXIST') && removeIfStale(folder)) {
      mkdirSync(folder)
      return
    }
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'EEXIST')) throw new LimitNotApplicable(controller, `cannot make cgroup "${folder}": ${error.code}`, { cause: error })
    throw error
  }
}

function lockFolder(folder: string): number | undefined {
  let fd: number
  try {
    fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
  if (getAddon().tryLock(fd, true) && statSync(folder, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) return fd
  closeSync(fd)
  return undefined
}

function readGroupUsage(group: LockedGroup): CgroupUsage {
  return group.controllers.reduce<CgroupUsage>((usage, controller) => ({ ...usage, ...group.driver.readUsage(group.folder, controller) }), {})
}

function removeGroups(groups: readonly LockedGroup[]): void {
  for (const group of groups) {
    try {
      rmdirSync(group.folder)
    } catch (error) {
      /* A container killed from outside can still be dying. Without our lock the group is stale for the next start. */
      if (!isErrno(error, 'EBUSY', 'ENOENT')) throw error
    } finally {
      closeSync(group.lockFd)
    }
  }
}

/** What a container sees at /sys/fs/cgroup: by folder there, the group that is mounted on it. */
export function viewOf(group: ContainerGroup): { readonly name: string; readonly links: readonly string[] } {
  const name = basename(group.hierarchy.mountPoint)
  return { name, links: group.hierarchy.controllers.filter((controller) => controller !== name) }
}
