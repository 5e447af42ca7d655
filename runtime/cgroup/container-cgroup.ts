import { closeSync, constants, fstatSync, mkdirSync, openSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { getAddon } from '../../native/index.ts'
import type { CgroupDriver, CgroupUsage, DeviceRule } from './driver.ts'
import { writeLimit } from './driver.ts'
import type { CgroupHierarchy } from './hierarchies.ts'
import { findHierarchies, readWords } from './hierarchies.ts'
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
  readonly lockFd: number | undefined
}

/** What every container's group is called by; what follows is the container's id. */
export const groupPrefix = 'tsbuild-container-'
const drivers: Readonly<Record<CgroupHierarchy['kind'], CgroupDriver>> = { v1: v1Driver, v2: v2Driver }

export interface CgroupParts {
  readonly id: string
  /** Below the hierarchies' own groups, for a container that outlives us: such groups must not be there yet, and are never taken for stale. */
  readonly path?: string
  readonly limits: Limits
  /** undefined: every device may be used. */
  readonly devices?: readonly DeviceRule[] | undefined
  readonly hierarchies: readonly CgroupHierarchy[]
  /** What is written beside the limits, to files that only one kind of hierarchy has. */
  readonly files?: readonly GroupFile[]
}

export interface GroupFile {
  readonly kind: CgroupHierarchy['kind']
  readonly controller: CgroupController
  readonly file: string
  readonly value: string
}

/**
 * Makes the groups for what is limited, and for memory where that is possible, because peak and OOM kills are reported
 * for every container. Groups of dead owners in the same place are removed on the way.
 * @throws {LimitNotApplicable}
 */
export function createContainerCgroup({ id, path, limits, devices, hierarchies, files = [] }: CgroupParts): ContainerCgroup {
  const groups: LockedGroup[] = []
  try {
    const limited = [...new Set([...limitedControllers(limits, devices !== undefined), ...files.map(({ controller }) => controller)])]
    for (const { hierarchy, controllers } of placeControllers(limited, hierarchies)) {
      const group = createGroup({ id, path }, controllers, hierarchy)
      if (group === undefined) continue
      groups.push(group)
      const enforced = group.controllers.filter((controller) => limited.includes(controller))
      for (const controller of enforced.filter((each) => each !== 'devices')) group.driver.applyLimits(group.folder, controller, limits)
      if (enforced.includes('devices')) group.driver.allowDevices(group.folder, devices ?? [])
    }
    const missing = limited.find((controller) => !groups.some((group) => group.controllers.includes(controller)))
    for (const entry of files) writeGroupFile(groups, entry)
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

function writeGroupFile(groups: readonly LockedGroup[], { kind, controller, file, value }: GroupFile): void {
  const group = groups.find((each) => each.hierarchy.kind === kind && each.controllers.includes(controller))
  if (group === undefined) throw new LimitNotApplicable(controller, `${file} is of cgroups ${kind}, where this host has no ${controller} controller`)
  writeLimit({ folder: group.folder, controller, file }, value)
}

/**
 * Removes the groups that dead processes of ours left anywhere in the hierarchies visible here; those in use stay.
 * Returns the folders removed.
 */
export function removeStaleCgroups(): readonly string[] {
  return findHierarchies().flatMap((hierarchy) => sweepTree(hierarchy.mountPoint))
}

function sweepTree(folder: string): string[] {
  const inside = listFolders(folder).filter((name) => !name.startsWith(groupPrefix)).flatMap((name) => sweepTree(join(folder, name)))
  return [...inside, ...sweep(folder)]
}

function sweep(parent: string): string[] {
  return listFolders(parent).filter((name) => name.startsWith(groupPrefix)).map((name) => join(parent, name)).filter(removeIfStale)
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
      killAll(folder)
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

function limitedControllers(limits: Limits, hasDeviceRules: boolean): CgroupController[] {
  const isAsked: Readonly<Record<CgroupController, boolean>> = {
    memory: [limits.memoryBytes, limits.memoryReservationBytes, limits.memorySwappiness].some((value) => value !== undefined),
    pids: limits.pids !== undefined && limits.pids !== -1,
    cpu: limits.cpus !== undefined || limits.cpuShares !== undefined,
    cpuset: limits.cpusetCpus !== undefined || limits.cpusetMems !== undefined,
    io: limits.blkioWeight !== undefined || (limits.deviceRates ?? []).length > 0,
    hugetlb: Object.keys(limits.hugetlbBytes ?? {}).length > 0,
    devices: hasDeviceRules,
  }
  return controllerNames.filter((controller) => isAsked[controller])
}

const controllerNames: readonly CgroupController[] = ['memory', 'pids', 'cpu', 'cpuset', 'io', 'hugetlb', 'devices']

interface Placement {
  readonly hierarchy: CgroupHierarchy
  readonly controllers: PlacedControllers
}

interface PlacedControllers {
  /** A limit or rule has to be enforced. */
  readonly limited: readonly CgroupController[]
  /** Only counted, where that is possible. */
  readonly counted: readonly CgroupController[]
}

/** Each controller goes to the one hierarchy that has it; memory is counted for every container, the others of a group that is made anyway. */
function placeControllers(limited: readonly CgroupController[], hierarchies: readonly CgroupHierarchy[]): Placement[] {
  const hasDeviceList = hierarchies.some(({ kind, controllers }) => kind === 'v1' && controllers.includes('devices'))
  return hierarchies.flatMap((hierarchy) => {
    const has = (controller: CgroupController): boolean => controller === 'devices' ? hierarchy.kind === 'v2' ? !hasDeviceList : hierarchy.controllers.includes(controller) : hierarchy.controllers.includes(nameIn(hierarchy, controller))
    const own = limited.filter(has)
    const counted = (['memory', ...(hierarchy.kind === 'v2' ? ['cpu', 'pids', 'io'] as const : [])] as const).filter((controller) => has(controller) && !own.includes(controller))
    return own.length === 0 && !counted.includes('memory') ? [] : [{ hierarchy, controllers: { limited: own, counted } }]
  })
}

function nameIn({ kind }: CgroupHierarchy, controller: CgroupController): string {
  return controller === 'io' && kind === 'v1' ? 'blkio' : controller
}

/** What is only counted is left out where our place in the hierarchy does not give it; undefined when nothing is left. */
function createGroup({ id, path }: { readonly id: string; readonly path: string | undefined }, { limited, counted }: PlacedControllers, hierarchy: CgroupHierarchy): LockedGroup | undefined {
  const driver = drivers[hierarchy.kind]
  const make = (controllers: readonly CgroupController[]): LockedGroup => {
    const parent = driver.findParent(hierarchy, controllers)
    if (path !== undefined) return { hierarchy, driver, controllers, ...makeLastingFolder(join(parent, path), controllers[0] ?? 'memory') }
    sweepOnce(parent)
    return { hierarchy, driver, controllers, ...makeLockedFolder(join(parent, `${groupPrefix}${id}`), controllers[0] ?? 'memory') }
  }
  for (const some of [counted, counted.filter((controller) => controller === 'memory')]) {
    try {
      return make([...limited, ...some])
    } catch (error) {
      if (!(error instanceof LimitNotApplicable) || some.length === 0) throw error
    }
  }
  return limited.length === 0 ? undefined : make(limited)
}

/** What a container with the host's pid namespace left when its owner was killed: nobody else will end it. */
function killAll(folder: string): void {
  for (const pid of readWords(join(folder, 'cgroup.procs'))) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch (error) {
      if (!isErrno(error, 'ESRCH')) throw error
    }
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

function makeLastingFolder(folder: string, controller: CgroupController): Pick<LockedGroup, 'folder' | 'lockFd'> {
  try {
    mkdirSync(dirname(folder), { recursive: true })
    mkdirSync(folder)
    return { folder, lockFd: undefined }
  } catch (error) {
    throw explainFolder(folder, controller, error)
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
    throw explainFolder(folder, controller, error)
  }
}

function explainFolder(folder: string, controller: CgroupController, error: unknown): unknown {
  if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'EEXIST')) return error
  const remedy = error.code === 'EACCES' ? '; leave the limit out, or let an administrator make a group there, give it to you (chown -R) and start tsbuild in it' : ''
  return new LimitNotApplicable(controller, `cannot make cgroup "${folder}": ${error.code}${remedy}`, { cause: error })
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
      if (group.lockFd !== undefined) closeSync(group.lockFd)
    }
  }
}

/** What a container sees at /sys/fs/cgroup: by folder there, the group that is mounted on it. */
export function viewOf(group: ContainerGroup): { readonly name: string; readonly links: readonly string[] } {
  const name = basename(group.hierarchy.mountPoint)
  return { name, links: group.hierarchy.controllers.filter((controller) => controller !== name) }
}
