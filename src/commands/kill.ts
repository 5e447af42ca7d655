import { defaultRoot } from '../../builder/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'
import { eachName } from '../each-name.ts'
import { parseSignal, signalContainer } from '../signal-container.ts'

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
    return eachName(operands, app, (name) => {
      signalContainer(records.getRunning(name), signal)
      return [name]
    })
  },
}
