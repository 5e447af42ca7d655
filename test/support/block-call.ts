import { execFileSync } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'

/** The start of a command line under which this system call fails with this error. The program is compiled into `folder`. */
export function blockCall(folder: string, call: 'openat2' | 'unshare', error: 'ENOSYS' | 'ENOSPC' | 'EPERM'): string[] {
  const program = join(folder, 'block-call')
  execFileSync('cc', ['-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-o', program, join(import.meta.dirname, 'block-call.c')])
  return [program, call, String(constants.errno[error])]
}
