import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isErrno } from './errors.ts'

/**
 * Makes a folder that somebody named, and those above it. What Node does with `recursive` never ends, and hears no signal,
 * where the kernel makes no folder in one that is there, as in /proc.
 * @returns whether it was not there before
 */
export function makeFolder(path: string, mode = 0o777): boolean {
  const folder = resolve(path)
  try {
    return makeOne(folder, mode)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    makeFolder(dirname(folder), mode)
    return makeOne(folder, mode)
  }
}

function makeOne(folder: string, mode: number): boolean {
  try {
    mkdirSync(folder, { mode })
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST') && statSync(folder).isDirectory()) return false
    throw error
  }
}
