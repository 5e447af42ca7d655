import { closeSync, existsSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { CgroupHierarchy } from './hierarchies.ts'
import type { UsageReport } from '../container-exit.ts'
import type { DeviceRate, Limits } from '../container-spec.ts'
import { deviceMajor, deviceMinor } from '../devices.ts'
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
  /** Lets processes open these devices only. @throws {LimitNotApplicable} */
  allowDevices(folder: string, rules: readonly DeviceRule[]): void
  readUsage(folder: string, controller: CgroupController): CgroupUsage
}

/** A device number that may be used; undefined is any. */
export interface DeviceRule {
  readonly kind: 'b' | 'c'
  readonly major: number | undefined
  readonly minor: number | undefined
  /** Some of `r`, `w` and `m`. */
  readonly permissions: string
}

export type CgroupUsage = { readonly [K in Exclude<keyof UsageReport, 'wallMs'>]?: UsageReport[K] }

/** The kernel's default, and Docker's. */
export const defaultCpuPeriodUs = 100_000

interface LimitFile {
  readonly folder: string
  readonly controller: CgroupController
  readonly file: string
}

/** `8:0` of a block device. @throws {LimitNotApplicable} */
export function blockDeviceNumber({ device }: DeviceRate): string {
  if (/^\d+:\d+$/u.test(device)) return device
  const stat = statSync(device, { throwIfNoEntry: false })
  if (stat?.isBlockDevice() !== true) throw new LimitNotApplicable('io', `"${device}" is no block device of this host`)
  return `${deviceMajor(stat.rdev)}:${deviceMinor(stat.rdev)}`
}

/** Where a hierarchy lacks what counts swap, Docker's default of twice the memory is left out; the memory limit holds all the same. */
export function isThere(folder: string, file: string): boolean {
  return existsSync(join(folder, file))
}

export function writeLimit(limit: LimitFile, value: string): void {
  writeLimits(limit, [value])
}

/** For a file that takes one value at a time and keeps them all. */
export function writeLimits({ folder, controller, file }: LimitFile, values: readonly string[]): void {
  let value = ''
  try {
    const fd = openSync(join(folder, file), 'r+')
    try {
      for (value of values) writeSync(fd, value)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw new LimitNotApplicable(controller, `the kernel has no ${file}${file.includes('swap') || file.includes('memsw') ? ', swap accounting is off: boot with swapaccount=1' : ''}`, { cause: error })
    if (isErrno(error, 'EINVAL', 'EBUSY', 'EACCES', 'EPERM', 'ERANGE', 'ENODEV', 'EOPNOTSUPP', 'ENOSPC')) throw new LimitNotApplicable(controller, `the kernel refuses ${value} for ${file} with ${error.code}`, { cause: error })
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

/** Sums over the lines of a file those numbers that stand behind a word: `8:0 Read 4096`, or `rbytes=4096`. */
export function sumCounters(folder: string, file: string, word: string): number | undefined {
  const text = readOptional(folder, file)
  if (text === undefined) return undefined
  return [...text.matchAll(new RegExp(`\\b${word}[ =](\\d+)`, 'gu'))].reduce((sum, [, digits]) => sum + Number(digits), 0)
}
