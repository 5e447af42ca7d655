import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { CgroupController } from '../errors.ts'
import { getHost } from '../host-support.ts'
import type { CgroupHierarchy } from './hierarchies.ts'
import { readWords } from './hierarchies.ts'
import { findStranger } from './vacate.ts'

/** Whether a limit of this controller can be applied by who we are: for defaults, which nobody asked for. */
export function canLimit(controller: CgroupController): boolean {
  return getHost().hierarchies.some((hierarchy) => hierarchy.controllers.includes(controller) && isDelegated(hierarchy) && passesOn(hierarchy, controller))
}

/** A v2 group gives a controller to its children when it does already, or has it and can be emptied; root of the system finds a group further up. */
function passesOn({ kind, ownGroup }: CgroupHierarchy, controller: CgroupController): boolean {
  if (kind === 'v1' || getHost().idMaps === undefined || readWords(join(ownGroup, 'cgroup.subtree_control')).includes(controller)) return true
  return readWords(join(ownGroup, 'cgroup.controllers')).includes(controller) && findStranger(ownGroup) === undefined
}

/** Whether groups can be made below our own; on v2 a controller also has to be passed on to them. */
export function isDelegated({ kind, ownGroup }: Pick<CgroupHierarchy, 'kind' | 'ownGroup'>): boolean {
  try {
    accessSync(ownGroup, constants.W_OK)
    if (kind === 'v2') accessSync(join(ownGroup, 'cgroup.subtree_control'), constants.W_OK)
    return true
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EROFS', 'ENOENT', 'EPERM')) return false
    throw error
  }
}
