import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { isErrno } from '../../core/errors.ts'
import { defaultRoot } from '../../builder/index.ts'
import type { RunningState } from '../../runtime/index.ts'
import { ContainerRecords, findMainProcess } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'
import { eachName } from '../each-name.ts'
import { StopFailed, UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { parseSignal, signalContainer } from '../signal-container.ts'

export const stopCommand: CommandSpec = {
  name: 'stop',
  operands: 'CONTAINER...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'End detached containers: their stop signal, and SIGKILL when that is not enough',
  options: [
    { name: 'time', short: 't', aliases: ['timeout'], value: 'SECONDS', help: 'How long to wait before SIGKILL (default 10)' },
    { name: 'signal', short: 's', value: 'SIGNAL', help: 'By name or number (default the container\'s --stop-signal or its image\'s STOPSIGNAL, else TERM)' },
  ],
  foreignOptions: foreignOptions.stop,
  examples: ['tsbuild stop -t 2 web'],
  run: async ({ operands, options }, app) => {
    const records = new ContainerRecords(defaultRoot(app.env))
    const seconds = options.text('time') ?? '10'
    if (!/^\d{1,6}$/u.test(seconds)) throw new UsageError(`option --time takes a number of seconds, not "${seconds}"`)
    const given = options.text('signal')
    const signal = given === undefined ? undefined : parseSignal(given)
    return eachName(operands, app, async (name) => {
      await stop(records, name, { signal, waitMs: Number(seconds) * 1000 })
      return [name]
    })
  },
}

async function stop(records: ContainerRecords, name: string, { signal, waitMs }: { readonly signal: NodeJS.Signals | number | undefined; readonly waitMs: number }): Promise<void> {
  const { state } = records.get(name)
  // One that has ended is what was asked for.
  if (state.kind === 'ended' || state.kind === 'lost') return
  const { id, running } = records.getRunning(name)
  signalContainer({ running }, signal ?? parseSignal(running.stopSignal ?? 'TERM'))
  if (await hasEnded(records, id, waitMs)) return
  signalContainer({ running }, 'SIGKILL')
  if (!await hasEnded(records, id, afterKillMs)) throw new StopFailed(name, { afterMs: afterKillMs, process: survivor(running) })
}

function survivor({ initPid }: RunningState): { readonly pid: number; readonly state: string } | undefined {
  try {
    const pid = findMainProcess(initPid) ?? initPid
    return { pid, state: /^State:\s*(.*)$/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '' }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

const pollMs = 20
const afterKillMs = 10_000

async function hasEnded(records: ContainerRecords, id: string, waitMs: number): Promise<boolean> {
  const isAlive = (): boolean => records.list().some((container) => container.id === id && container.state.kind === 'running')
  for (const deadline = performance.now() + waitMs; isAlive();) {
    if (performance.now() > deadline) return false
    await setTimeout(pollMs)
  }
  return true
}
