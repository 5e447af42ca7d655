import { constants } from 'node:os'
import { defaultRoot } from '../../builder/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { signalContainer } from '../signal-container.ts'

export const killCommand: CommandSpec = {
  name: 'kill',
  operands: 'CONTAINER...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Send a signal to detached containers',
  options: [{ name: 'signal', short: 's', value: 'SIGNAL', help: 'By name or number (default KILL)' }],
  examples: ['tsbuild kill -s HUP web'],
  run: ({ operands, options }, app) => {
    const signal = parseSignal(options.text('signal') ?? 'KILL')
    const records = new ContainerRecords(defaultRoot(app.env))
    for (const name of operands) {
      signalContainer(records.getRunning(name), signal)
      app.print(name)
    }
    return Promise.resolve(0)
  },
}

function parseSignal(text: string): NodeJS.Signals {
  const name = text.toUpperCase().replace(/^(?:SIG)?/u, 'SIG')
  const found = Object.entries(constants.signals).find(([known, number]) => known === name || String(number) === text)?.[0]
  if (found === undefined) throw new UsageError(`"${text}" is no signal`)
  return found as NodeJS.Signals
}
