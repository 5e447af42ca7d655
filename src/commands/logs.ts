import { defaultRoot } from '../../builder/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'
import { readLog } from '../container-log.ts'
import { UsageError } from '../errors.ts'

export const logsCommand: CommandSpec = {
  name: 'logs',
  operands: 'CONTAINER',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Print what a detached container has written',
  options: [
    { name: 'follow', short: 'f', help: 'Go on until it ends' },
    { name: 'tail', short: 'n', value: 'LINES', help: 'Begin with the last lines only, or all' },
  ],
  examples: ['tsbuild logs -f -n 100 web'],
  run: async ({ operands: [name = ''], options }, app) => {
    const lines = options.text('tail') ?? 'all'
    if (!/^(?:all|\d{1,9})$/u.test(lines)) throw new UsageError(`option --tail takes a number of lines or all, not "${lines}"`)
    const records = new ContainerRecords(defaultRoot(app.env))
    const container = records.get(name)
    const isAlive = (): boolean => options.has('follow') && records.list().some(({ id, state }) => id === container.id && (state.kind === 'running' || state.kind === 'starting'))
    for await (const { stream, bytes } of readLog(records.logFile(container), { isFollowed: isAlive, lastLines: lines === 'all' ? Infinity : Number(lines) })) {
      if (app.signal.aborted) break
      process[stream].write(bytes)
    }
    return 0
  },
}
