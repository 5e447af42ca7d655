import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from './errors.ts'

/** Where programs of the system lie that a plain user's PATH may leave out. */
const systemFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** The first executable of that name in PATH. Folders that are not absolute do not count. */
export function findProgram(name: string, env: NodeJS.ProcessEnv): string | undefined {
  return findIn(name, pathFolders(env))
}

/** The same, and then where programs of the system lie. */
export function findSystemProgram(name: string, env: NodeJS.ProcessEnv): string | undefined {
  return findIn(name, [...pathFolders(env), ...systemFolders])
}

function pathFolders(env: NodeJS.ProcessEnv): string[] {
  return (env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'))
}

function findIn(name: string, folders: readonly string[]): string | undefined {
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return false
    throw error
  }
}
