import { mkdirSync, statfsSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'
import { StorageFull } from '../errors.ts'

/** ENOSPC as what it means for the store; any other error as it is. */
export function explainFull(root: string, error: unknown): unknown {
  return isErrno(error, 'ENOSPC', 'EDQUOT') ? new StorageFull(root, statfsSync(root), { cause: error }) : error
}

/** @throws {StorageFull} */
export function makeDirectories(root: string, paths: readonly string[]): void {
  try {
    for (const path of paths) mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    throw explainFull(root, error)
  }
}
