import { setTimeout } from 'node:timers/promises'
import { defaultRoot } from '../../builder/index.ts'
import { ContainerInUse, ContainerNotFound, ContainerRecords } from '../../runtime/index.ts'
import type { DetachedContainer } from '../../runtime/index.ts'
import type { CommandSpec } from '../command.ts'
import { eachName } from '../each-name.ts'
import { signalContainer } from '../signal-container.ts'

export const rmCommand: CommandSpec = {
  name: 'rm',
  operands: 'CONTAINER...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Forget detached containers that have ended, and their logs',
  options: [{ name: 'force', short: 'f', help: 'Kill those that run' }],
  examples: ['tsbuild rm -f web'],
  run: async ({ operands, options }, app) => {
    const records = new ContainerRecords(defaultRoot(app.env))
    const isForced = options.has('force')
    return eachName(operands, app, async (name) => {
      try {
        await remove(records, records.get(name), isForced)
      } catch (error) {
        // As with Docker, what is not there is not there by force.
        if (!isForced || !(error instanceof ContainerNotFound)) throw error
        app.note(error.message)
        return []
      }
      return [name]
    })
  },
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
