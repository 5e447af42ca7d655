import { setTimeout } from 'node:timers/promises'
import { defaultRoot } from '../../builder/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'
import { eachName } from '../each-name.ts'

export const waitCommand: CommandSpec = {
  name: 'wait',
  operands: 'CONTAINER...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Wait until detached containers have ended, and print their exit codes',
  options: [],
  examples: ['tsbuild wait web'],
  run: ({ operands }, app) => {
    const records = new ContainerRecords(defaultRoot(app.env))
    return eachName(operands, app, async (name) => [String(await exitCodeOf(records, records.get(name).id, app.signal))])
  },
}

const pollMs = 50
/** What a supervisor that was killed leaves of its container, which was killed with it. */
const lostExitCode = 137

/** @throws {ContainerNotFound} when it was removed meanwhile, as with --rm */
async function exitCodeOf(records: ContainerRecords, id: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    signal.throwIfAborted()
    const { state } = records.get(id)
    if (state.kind === 'ended') return state.end.exitCode
    if (state.kind === 'lost') return lostExitCode
    await setTimeout(pollMs)
  }
}
