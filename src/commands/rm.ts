import { setTimeout } from 'node:timers/promises'
import { defaultRoot } from '../../builder/index.ts'
import { ContainerInUse, ContainerNotFound, ContainerRecords } from '../../runtime/index.ts'
import type { DetachedContainer } from '../../runtime/index.ts'
import type { App } from '../app.ts'
import type { CommandSpec } from '../command.ts'
import { eachName } from '../each-name.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { signalContainer } from '../signal-container.ts'

export const rmCommand: CommandSpec = {
  name: 'rm',
  operands: '[CONTAINER...]',
  minOperands: 0,
  maxOperands: Infinity,
  summary: 'Forget detached containers that have ended, and their logs',
  options: [
    { name: 'force', short: 'f', help: 'Kill those that run, and do not mind what is not there' },
    { name: 'ended', help: 'All that have ended, and none that runs' },
    { name: 'volumes', short: 'v', isHidden: true, help: 'Nothing but the record is left of one that has ended' },
  ],
  foreignOptions: foreignOptions.rm,
  examples: ['tsbuild rm -f web', 'tsbuild rm --ended'],
  run: async ({ operands, options }, app) => {
    const records = new ContainerRecords(defaultRoot(app.env))
    if (options.has('ended') === (operands.length > 0)) throw new UsageError('"tsbuild rm" takes either containers or --ended', 'rm')
    if (options.has('ended')) {
      const ended = records.list().filter(({ state }) => state.kind === 'ended' || state.kind === 'lost')
      return eachName(ended.map(({ id }) => id), app, (id) => {
        records.remove(records.get(id))
        return [id]
      })
    }
    const isForced = options.has('force')
    const names = isForced ? operands.filter((name) => isThere(records, name, app)) : operands
    return eachName(names, app, async (name) => {
      await remove(records, records.get(name), isForced)
      return [name]
    })
  },
}

/** As with Docker, that one is not there is told, and is no failure by force. */
function isThere(records: ContainerRecords, name: string, app: App): boolean {
  const isFound = records.list().some((container) => container.name === name || container.id.startsWith(name))
  if (!isFound) app.note(`warning: ${new ContainerNotFound(name, false).message}`)
  return isFound
}

const pollMs = 20
const patienceMs = 10_000

/** The supervisor of a container that was just killed needs a moment to write down its end. */
async function remove(records: ContainerRecords, container: DetachedContainer, isForced: boolean): Promise<void> {
  if (isForced && container.state.kind === 'running') signalContainer(container.state, 'SIGKILL')
  const isEnding = isForced || container.state.kind === 'ended'
  for (const deadline = performance.now() + patienceMs; ;) {
    try {
      records.remove(container)
      return
    } catch (error) {
      if (!isEnding || !(error instanceof ContainerInUse) || performance.now() > deadline) throw error
      await setTimeout(pollMs)
    }
  }
}
