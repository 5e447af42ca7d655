import { isErrno } from '../core/errors.ts'
import type { RunningState } from '../runtime/index.ts'
import { findMainProcess } from '../runtime/index.ts'

/** Sends a signal to the container's own process; one that has ended meanwhile needs none. */
export function signalContainer({ running }: { readonly running: RunningState }, signal: NodeJS.Signals): void {
  try {
    const pid = findMainProcess(running.initPid)
    if (pid !== undefined) process.kill(pid, signal)
  } catch (error) {
    if (!isErrno(error, 'ESRCH', 'ENOENT')) throw error
  }
}
