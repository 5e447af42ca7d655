import { constants } from 'node:os'
import { isErrno } from '../core/errors.ts'
import type { RunningState } from '../runtime/index.ts'
import { findMainProcess } from '../runtime/index.ts'
import { UsageError } from './errors.ts'

/** Sends a signal to the container's own process; one that has ended meanwhile needs none. */
export function signalContainer({ running }: { readonly running: RunningState }, signal: NodeJS.Signals | number): void {
  try {
    const pid = findMainProcess(running.initPid)
    if (pid !== undefined) process.kill(pid, signal)
  } catch (error) {
    if (!isErrno(error, 'ESRCH', 'ENOENT')) throw error
  }
}

const firstRealTime = 34
const lastRealTime = 64

/** By name, with or without SIG, or number; real-time ones are RTMIN, RTMIN+3, RTMAX-1. @throws {UsageError} */
export function parseSignal(text: string): NodeJS.Signals | number {
  const [, base, offset = '0'] = /^(?:SIG)?RT(MIN|MAX)([+-]\d{1,2})?$/iu.exec(text) ?? []
  const number = base === undefined ? Number(/^\d{1,2}$/u.exec(text)?.[0]) : (base.toUpperCase() === 'MIN' ? firstRealTime : lastRealTime) + Number(offset)
  if (number >= firstRealTime && number <= lastRealTime) return number
  const name = text.toUpperCase().replace(/^(?:SIG)?/u, 'SIG')
  const found = Object.entries(constants.signals).find(([known, number]) => known === name || String(number) === text)?.[0]
  if (found === undefined) throw new UsageError(`"${text}" is no signal`)
  return found as NodeJS.Signals
}
