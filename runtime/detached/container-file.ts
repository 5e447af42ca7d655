import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { isErrno } from '../../core/errors.ts'

/**
 * What a file of a running container holds, "" when there is none. No link is followed: an absolute one would lead into our
 * own root.
 * @throws an error of the file system, ELOOP for a link
 */
export function readContainerFile(initPid: number, path: string, mostBytes: number): string {
  const fds = [openSync(`/proc/${initPid}/root`, constants.O_RDONLY | constants.O_DIRECTORY)]
  const open = (name: string, flags: number): void => { fds.push(openSync(`/proc/self/fd/${fds.at(-1) ?? -1}/${name}`, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK)) }
  try {
    const names = path.split('/').filter((name) => name !== '')
    for (const name of names.slice(0, -1)) open(name, constants.O_RDONLY | constants.O_DIRECTORY)
    open(names.at(-1) ?? '.', constants.O_RDONLY)
    const fd = fds.at(-1) ?? -1
    const stat = fstatSync(fd)
    if (!stat.isFile() || stat.size > mostBytes) throw new RangeError(`cannot read ${path} of the container: it is ${stat.isFile() ? `${stat.size} bytes long` : 'no file'}`)
    return readFileSync(fd, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}
