import { rmdirSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'

/** Removes what the kernel leaves in the workdir of a volatile overlay. @returns whether that was all there was */
export function clearWorkdir(workdir: string): boolean {
  const left = join(workdir, 'work')
  const mark = join(left, 'incompat', 'volatile')
  try {
    unlinkSync(join(mark, 'dirty'))
    for (const folder of [mark, dirname(mark), left]) rmdirSync(folder)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'ENOENT')) return false
    throw error
  }
}
