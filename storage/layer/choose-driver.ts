import { closeSync, existsSync, openSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { release } from 'node:os'
import { isErrno } from '../../core/errors.ts'
import { findSystemProgram } from '../../core/find-program.ts'
import { createTask } from '../../core/task.ts'
import { tryMount } from '../erofs/mount-layers.ts'
import { mayMount } from '../erofs/mount-rights.ts'
import { DriverUnavailable } from '../errors.ts'
import { TreeFailure } from '../tree/errors.ts'
import { isInUserNamespace } from './user-namespace.ts'

/** How the root filesystem of a snapshot is put together. */
export type StorageDriverName = 'overlay' | 'fuse-overlayfs' | 'vfs'

export type DriverChoice = {
  /** For people: why this one. */
  readonly reason: string
} & ({ readonly driver: 'overlay' | 'vfs' } | { readonly driver: 'fuse-overlayfs'; readonly program: string })

/**
 * Which driver makes snapshots in a store at `folder`: the one asked for, else overlay, else, where containers can be
 * mounted for but not with overlayfs, fuse-overlayfs, else vfs.
 * @throws {DriverUnavailable} when the one asked for is unknown or cannot be used here
 */
export async function chooseDriver(folder: string, asked: string | undefined): Promise<DriverChoice> {
  if (asked === 'vfs') return { driver: 'vfs', reason: 'it is asked for' }
  if (asked === 'fuse-overlayfs') {
    const fuse = findFuse()
    if (fuse.program === undefined) throw new DriverUnavailable(asked, fuse.obstacle)
    return { driver: asked, program: fuse.program, reason: 'it is asked for' }
  }
  if (asked !== undefined && asked !== 'overlay') throw new DriverUnavailable(asked, 'there are "overlay", "fuse-overlayfs" and "vfs"')
  const obstacle = await findObstacle(folder)
  if (obstacle === undefined) return { driver: 'overlay', reason: asked === undefined ? 'the kernel has overlayfs' : 'it is asked for' }
  if (asked === 'overlay') throw new DriverUnavailable('overlay', obstacle)
  // Then containers copy the layers on their own.
  if (!mayMount()) return { driver: 'overlay', reason: 'this process may mount nothing, so containers work on copies of the layers anyway' }
  const fuse = findFuse()
  return fuse.program === undefined ? { driver: 'vfs', reason: `${obstacle}; and ${fuse.obstacle}` } : { driver: 'fuse-overlayfs', program: fuse.program, reason: obstacle }
}

/** @see kernel Documentation/filesystems/overlayfs.rst "Upper and Lower" */
const unsuitable: ReadonlyMap<number, string> = new Map([[0x79_4c_76_30, 'overlayfs'], [0x69_69, 'NFS']])

async function findObstacle(folder: string): Promise<string | undefined> {
  const filesystem = unsuitable.get(statfsSync(folder).type)
  if (filesystem !== undefined) return `the store is on ${filesystem}, which overlayfs does not take to write to`
  if (!hasOverlay()) return `the kernel has no overlayfs: neither /proc/filesystems nor ${moduleList()} names it`
  return await mayMountOverlay() ? undefined : `Linux ${release()} does not let a user namespace mount overlayfs`
}

function hasOverlay(): boolean {
  return /^nodev\toverlay$/mu.test(readFileSync('/proc/filesystems', 'utf8')) || (existsSync(moduleList()) && /\/overlay\.ko/u.test(readFileSync(moduleList(), 'utf8')))
}

function moduleList(): string {
  return `/lib/modules/${release()}/modules.dep`
}

/** Every kernel since 5.11 lets a user namespace mount it; of the older ones those of some distributions do. */
async function mayMountOverlay(): Promise<boolean> {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  if (major > 5 || (major === 5 && minor >= 11) || !mayMount() || !isInUserNamespace()) return true
  try {
    await tryMount([], createTask())
    return true
  } catch (error) {
    if (error instanceof TreeFailure && error.errnoName === 'EPERM') return false
    throw error
  }
}

const device = '/dev/fuse'
/** Major 10, minor 229. @see kernel Documentation/admin-guide/devices.txt */
const fuseNumber = (10 << 8) | 229

type FuseSupport = { readonly program: string } | { readonly program: undefined; readonly obstacle: string }

function findFuse(): FuseSupport {
  const program = findSystemProgram('fuse-overlayfs', process.env)
  if (program === undefined) return { program, obstacle: 'there is no program fuse-overlayfs (Debian, Ubuntu, Fedora: the package of that name)' }
  try {
    if (statSync(device).rdev !== fuseNumber) return { program: undefined, obstacle: `${device} is not the kernel's device of that name` }
    closeSync(openSync(device, 'r+'))
    return { program }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENXIO', 'ENODEV')) return { program: undefined, obstacle: `there is no ${device}: load the kernel's module "fuse", or give the container the device` }
    if (isErrno(error, 'EACCES', 'EPERM')) return { program: undefined, obstacle: `${device} may not be opened: its mode is 0666 where plain users may use FUSE` }
    throw error
  }
}
