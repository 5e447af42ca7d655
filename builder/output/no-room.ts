import { existsSync, statfsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { StorageFull } from '../../storage/index.ts'
import { OutputConflict } from '../errors.ts'

/** Writes to a path, and says of a full filesystem that it is the path's. The store's own is told as StorageFull. @throws {OutputConflict} */
export async function writeThere<T>(path: string, work: () => Promise<T>): Promise<T> {
  const place = resolve(path)
  try {
    return await work()
  } catch (error) {
    const isFull = isErrno(error, 'ENOSPC', 'EDQUOT') || (error instanceof StorageFull && error.root.startsWith(place))
    if (!isFull) throw error
    const { bavail, bsize, ffree } = statfsSync(nearestFolder(place))
    const cause = error instanceof StorageFull ? error.cause : error
    throw new OutputConflict(place, `its filesystem has not enough room: ${bavail * bsize} bytes and ${ffree} inodes are free, what was written of it being gone`, { cause })
  }
}

function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path))
}
