import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { readWords } from './hierarchies.ts'

/** What a group is called that tsbuild itself moved to. */
const ownPrefix = 'tsbuild-self-'

/**
 * Whether the processes of a v2 group, which has to be empty to give controllers to its children, are ours to move: this one, the tsbuild
 * that started it in a user namespace, and what it started. @returns undefined, or who else is there
 */
export function findStranger(group: string): string | undefined {
  const pid = readPids(group).find((each) => !isOurs(each))
  return pid === undefined ? undefined : `${readName(pid)} (${pid})`
}

/** Moves the processes of our own group to one below it. @returns whether that could be done */
export function vacate(group: string): boolean {
  for (const name of readdirSync(group)) if (name.startsWith(ownPrefix)) removeIfEmpty(join(group, name))
  const folder = join(group, `${ownPrefix}${process.pid}`)
  try {
    mkdirSync(folder)
    for (const pid of readPids(group)) writeFileSync(join(folder, 'cgroup.procs'), String(pid), { flag: 'r+' })
    return true
  } catch (error) {
    // ESRCH: it has ended meanwhile, and the next container finds the group empty.
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ESRCH', 'EEXIST')) return false
    throw error
  }
}

function readPids(group: string): number[] {
  return readWords(join(group, 'cgroup.procs')).map(Number)
}

function isOurs(pid: number): boolean {
  return pid === process.pid || (pid === process.ppid && readProgram(pid) === readProgram(process.pid)) || readParent(pid) === process.pid
}

function readProgram(pid: number): string | undefined {
  return whileItLives(() => readlinkSync(`/proc/${pid}/exe`))
}

function readParent(pid: number): number | undefined {
  const stat = whileItLives(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  // The name before it, in parentheses, can hold anything.
  return stat === undefined ? process.pid : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

function readName(pid: number): string {
  return whileItLives(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()) ?? 'a process'
}

function whileItLives<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined
    throw error
  }
}

/** Left by one that is gone. */
function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch (error) {
    if (!isErrno(error, 'EBUSY', 'ENOENT', 'ENOTEMPTY', 'EACCES', 'EPERM')) throw error
  }
}
