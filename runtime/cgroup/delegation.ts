import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { CgroupController } from '../errors.ts'
import { getHost } from '../host-support.ts'
import type { CgroupHierarchy } from './hierarchies.ts'

/** Whether a limit of this controller can be applied by who we are: for defaults, which nobody asked for. */
export function canLimit(controller: CgroupController): boolean {
  return getHost().hierarchies.some((hierarchy) => hierarchy.controllers.includes(controller) && isDelegated(hierarchy))
}

/** Whether groups can be made below our own; on v2 a controller also has to be passed on to them. */
export function isDelegated({ kind, ownGroup }: CgroupHierarchy): boolean {
  try {
    accessSync(ownGroup, constants.W_OK)
    if (kind === 'v2') accessSync(join(ownGroup, 'cgroup.subtree_control'), constants.W_OK)
    return true
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EROFS', 'ENOENT', 'EPERM')) return false
    throw error
  }
}
