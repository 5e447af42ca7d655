import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { release } from 'node:os'
import { DriverUnavailable } from '../errors.ts'

/** How the root filesystem of a snapshot is put together. */
export type StorageDriverName = 'overlay' | 'vfs'

export interface DriverChoice {
  readonly driver: StorageDriverName
  /** For people: why this one. */
  readonly reason: string
}

/**
 * Which driver makes snapshots in a store at `folder`: the one asked for, else overlay, else, where containers can be
 * mounted for but not with overlayfs, vfs.
 * @throws {DriverUnavailable} when the one asked for is unknown or cannot be used here
 */
export function chooseDriver(folder: string, asked: string | undefined): DriverChoice {
  if (asked !== undefined && asked !== 'overlay' && asked !== 'vfs') throw new DriverUnavailable(asked, 'there are "overlay" and "vfs"')
  if (asked === 'vfs') return { driver: 'vfs', reason: 'it is asked for' }
  const obstacle = findObstacle(folder)
  if (obstacle === undefined) return { driver: 'overlay', reason: asked === undefined ? 'the kernel has overlayfs' : 'it is asked for' }
  if (asked === 'overlay') throw new DriverUnavailable('overlay', obstacle)
  // Then containers copy the layers on their own.
  if (!mayMount()) return { driver: 'overlay', reason: 'this process may mount nothing, so containers work on copies of the layers anyway' }
  return { driver: 'vfs', reason: obstacle }
}

/** @see kernel Documentation/filesystems/overlayfs.rst "Upper and Lower" */
const unsuitable: ReadonlyMap<number, string> = new Map([[0x79_4c_76_30, 'overlayfs'], [0x69_69, 'NFS']])

function findObstacle(folder: string): string | undefined {
  const filesystem = unsuitable.get(statfsSync(folder).type)
  if (filesystem !== undefined) return `the store is on ${filesystem}, which overlayfs does not take to write to`
  if (/^nodev\toverlay$/mu.test(readFileSync('/proc/filesystems', 'utf8'))) return undefined
  const modules = `/lib/modules/${release()}/modules.dep`
  if (existsSync(modules) && /\/overlay\.ko/u.test(readFileSync(modules, 'utf8'))) return undefined
  return `the kernel has no overlayfs: neither /proc/filesystems nor ${modules} names it`
}

/** CAP_SYS_ADMIN. */
const systemAdministration = 1n << 21n

function mayMount(): boolean {
  const [, capabilities] = /^CapEff:\s*([0-9a-f]+)$/mu.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return capabilities !== undefined && (BigInt(`0x${capabilities}`) & systemAdministration) !== 0n
}
