import { mkdirSync, statfsSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { isErrno } from '../../core/errors.ts'
import { StorageFull } from './errors.ts'

/** ENOSPC as what it means for the store; any other error as it is. */
export function explainFull(root: string, error: unknown): unknown {
  return isErrno(error, 'ENOSPC', 'EDQUOT') ? new StorageFull(root, statfsSync(root), { cause: error }) : error
}

/** @throws {StorageFull} */
export function makeDirectories(root: string, paths: readonly string[], { mayExist = false } = {}): void {
  try {
    for (const path of paths) mkdirSync(path, { mode: 0o700, recursive: mayExist })
  } catch (error) {
    throw explainFull(root, error)
  }
}

/** A file that only its owner may read. @throws {StorageFull} */
export async function openPrivate(root: string, path: string, flags: 'wx' | 'a+'): Promise<FileHandle> {
  try {
    return await open(path, flags, 0o600)
  } catch (error) {
    throw explainFull(root, error)
  }
}
