import { setTimeout } from 'node:timers/promises'
import { defaultRoot } from '../../builder/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { signalContainer } from '../signal-container.ts'

export const stopCommand: CommandSpec = {
  name: 'stop',
  operands: 'CONTAINER...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'End detached containers: SIGTERM, and SIGKILL when that is not enough',
  options: [{ name: 'time', short: 't', value: 'SECONDS', help: 'How long to wait before SIGKILL (default 10)' }],
  examples: ['tsbuild stop -t 2 web'],
  run: async ({ operands, options }, app) => {
    const records = new ContainerRecords(defaultRoot(app.env))
    const seconds = options.text('time') ?? '10'
    if (!/^\d{1,6}$/u.test(seconds)) throw new UsageError(`option --time takes a number of seconds, not "${seconds}"`)
    for (const name of operands) {
      const container = records.getRunning(name)
      signalContainer(container, 'SIGTERM')
      if (!await hasEnded(records, container.id, Number(seconds) * 1000)) {
        signalContainer(container, 'SIGKILL')
        await hasEnded(records, container.id, afterKillMs)
      }
      app.print(name)
    }
    return 0
  },
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
