import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isErrno } from '../../core/errors.ts'

/**
 * Makes a directory of the host, with those above it. Node's own `recursive` never ends where the kernel says of a directory that is there
 * that nothing can be made in it by ENOENT, as it does of /proc.
 * @returns whether it was not there before
 */
export function makeFolder(path: string, mode = 0o777): boolean {
  try {
    mkdirSync(path, { mode })
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST') && statSync(path).isDirectory()) return false
    if (!isErrno(error, 'ENOENT') || existsSync(dirname(path))) throw error
  }
  makeFolder(dirname(path), mode)
  return makeFolder(path, mode)
}
