import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isErrno } from '../../core/errors.ts'
import { makeFolder } from '../../core/make-folder.ts'
import type { Privilege, ProcessSpec } from '../container-spec.ts'
import { OciContainerExists, OciContainerNotFound } from './errors.ts'
import type { Hook } from './hooks.ts'

/** What is kept of a container between calls. */
export interface KeptState {
  readonly id: string
  readonly bundle: string
  readonly annotations: Readonly<Record<string, string>>
  /** Of its first process. */
  readonly pid: number
  /** When that began, by which it differs from a later one of the same number. */
  readonly startTime: string
  /** The container's cgroups, which nobody removes before `delete`. */
  readonly groups: readonly { readonly folder: string; readonly isV2: boolean }[]
  /** What further processes are made after. */
  readonly process: ProcessSpec
  readonly privilege: Privilege
  readonly hooks: readonly Hook[]
}

/** As native/helper/container/process.h has it. */
export const startFifo = 'start'
const stateFile = 'state.json'

/** The folder of a container's own. @throws {OciContainerExists} */
export function makeStateFolder(root: string, id: string): string {
  const folder = join(root, id)
  makeFolder(root, 0o700)
  try {
    mkdirSync(folder, { mode: 0o700 })
    return folder
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw new OciContainerExists(id)
    throw error
  }
}

/** @throws {OciContainerNotFound} */
export function readState(root: string, id: string): KeptState {
  try {
    return JSON.parse(readFileSync(join(root, id, stateFile), 'utf8')) as KeptState
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) throw new OciContainerNotFound(id)
    throw error
  }
}

export function writeState(folder: string, kept: KeptState): void {
  const path = join(folder, stateFile)
  writeFileSync(`${path}.new`, JSON.stringify(kept), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** A folder that a dead creator left has no state. */
export function removeUnfinished(root: string, id: string): boolean {
  if (existsSync(join(root, id, stateFile))) return false
  rmSync(join(root, id), { recursive: true, force: true })
  return true
}

export function statusOf(root: string, kept: KeptState): 'created' | 'running' | 'stopped' {
  if (!isAlive(kept)) return 'stopped'
  return existsSync(join(root, kept.id, startFifo)) ? 'created' : 'running'
}

/** Settles when the container's first process has ended, or the signal aborts. */
export async function watchForEnd(kept: Pick<KeptState, 'pid' | 'startTime'>, signal: AbortSignal): Promise<void> {
  while (isAlive(kept) && !signal.aborted) await setTimeout(5)
}

export function isAlive({ pid, startTime }: Pick<KeptState, 'pid' | 'startTime'>): boolean {
  const stat = readStat(pid)
  return stat?.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X'
}

/** Of /proc/PID/stat; the name in it can hold anything but ends at the last bracket. @see proc_pid_stat(5) */
export function readStat(pid: number): { readonly state: string; readonly startTime: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', startTime: fields[19] ?? '' }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

/** How long a process may take to go after SIGKILL. */
export const endMs = 10_000

/** Without a pid namespace of its own, what a container left behind lives on in its groups. */
export async function removeGroup(folder: string): Promise<void> {
  for (const deadline = Date.now() + endMs; ;) {
    try {
      rmdirSync(folder)
      return
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return
      if (!isErrno(error, 'EBUSY') || Date.now() > deadline) throw error
    }
    signalGroup(folder, 'SIGKILL')
    await setTimeout(5)
  }
}

export function signalGroup(folder: string, signal: NodeJS.Signals | number): void {
  for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n')) {
    try {
      if (Number(pid) > 0) process.kill(Number(pid), signal)
    } catch (error) {
      if (!isErrno(error, 'ESRCH')) throw error
    }
  }
}
