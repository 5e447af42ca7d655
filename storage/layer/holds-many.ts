import type { Dirent } from 'node:fs'
import { readdirSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'

const slash = Buffer.from('/')

/** Whether a folder holds so many files and folders, on all levels. No more folders are read than it takes to know. */
export function holdsMany(folder: string, many: number): boolean {
  const folders = [Buffer.from(folder)]
  let count = 0
  for (let path = folders.pop(); path !== undefined; path = folders.pop()) {
    const entries = listFolder(path)
    if (entries === undefined) return true
    count += entries.length
    if (count >= many) return true
    for (const entry of entries) if (entry.isDirectory()) folders.push(Buffer.concat([path, slash, entry.name]))
  }
  return false
}

/** @returns undefined for one too deep for its path to be opened, which nobody makes of a few files */
function listFolder(path: Buffer): Dirent<Buffer>[] | undefined {
  try {
    return readdirSync(path, { withFileTypes: true, encoding: 'buffer' })
  } catch (error) {
    if (isErrno(error, 'ENAMETOOLONG')) return undefined
    throw error
  }
}
