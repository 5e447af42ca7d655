import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { CgroupHierarchy } from './hierarchies.ts'
import type { Limits, UsageReport } from '../container-spec.ts'
import type { CgroupController } from '../errors.ts'
import { LimitNotApplicable } from '../errors.ts'

/** What differs between the kinds of hierarchy. `folder` is always that of a container's own group. */
export interface CgroupDriver {
  /**
   * The group below which a container's group can be made with these controllers, switching them on where needed.
   * @throws {LimitNotApplicable} there is none
   */
  findParent(hierarchy: CgroupHierarchy, controllers: readonly CgroupController[]): string
  /** @throws {LimitNotApplicable} */
  applyLimits(folder: string, controller: CgroupController, limits: Limits): void
  readUsage(folder: string, controller: CgroupController): CgroupUsage
}

export type CgroupUsage = { readonly [K in Exclude<keyof UsageReport, 'wallMs'>]?: UsageReport[K] }

/** The kernel's default, and Docker's. */
export const cpuPeriodUs = 100_000

interface LimitFile {
  readonly folder: string
  readonly controller: CgroupController
  readonly file: string
}

export function writeLimit({ folder, controller, file }: LimitFile, value: string): void {
  try {
    writeFileSync(join(folder, file), value, { flag: 'r+' })
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw new LimitNotApplicable(controller, `the kernel has no ${file}${file.includes('swap') || file.includes('memsw') ? ', swap accounting is off: boot with swapaccount=1' : ''}`, { cause: error })
    if (isErrno(error, 'EINVAL', 'EBUSY', 'EACCES', 'EPERM', 'ERANGE')) throw new LimitNotApplicable(controller, `the kernel refuses ${value} for ${file} with ${error.code}`, { cause: error })
    throw error
  }
}

/** undefined where this kernel does not have the file. */
export function readCounter(folder: string, file: string): number | undefined {
  const text = readOptional(folder, file)
  return text === undefined ? undefined : parseCounter(text)
}

/** The value of one line `key value` of a file. */
export function readKeyedCounter(folder: string, file: string, key: string): number | undefined {
  const line = readOptional(folder, file)?.split('\n').find((candidate) => candidate.startsWith(`${key} `))
  return line === undefined ? undefined : parseCounter(line.slice(key.length + 1))
}

function readOptional(folder: string, file: string): string | undefined {
  try {
    return readFileSync(join(folder, file), 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EOPNOTSUPP')) return undefined
    throw error
  }
}

function parseCounter(text: string): number | undefined {
  return /^\d+\s*$/u.test(text) ? Number(text) : undefined
}
