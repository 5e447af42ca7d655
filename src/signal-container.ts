import { constants } from 'node:os'
import { isErrno } from '../core/errors.ts'
import type { RunningState } from '../runtime/index.ts'
import { findMainProcess } from '../runtime/index.ts'
import { UsageError } from './errors.ts'

/** Sends a signal to the container's own process; one that has ended meanwhile needs none. */
export function signalContainer({ running }: { readonly running: RunningState }, signal: NodeJS.Signals): void {
  try {
    const pid = findMainProcess(running.initPid)
    if (pid !== undefined) process.kill(pid, signal)
  } catch (error) {
    if (!isErrno(error, 'ESRCH', 'ENOENT')) throw error
  }
}

/** By name, with or without SIG, or number. @throws {UsageError} */
export function parseSignal(text: string): NodeJS.Signals {
  const name = text.toUpperCase().replace(/^(?:SIG)?/u, 'SIG')
  const found = Object.entries(constants.signals).find(([known, number]) => known === name || String(number) === text)?.[0]
  if (found === undefined) throw new UsageError(`"${text}" is no signal`)
  return found as NodeJS.Signals
}
