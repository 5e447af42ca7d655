import { appendFileSync, closeSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { defaultRoot, findImage, runImage } from '../../builder/index.ts'
import type { ContainerExit, ContainerSpec, HeldRecord } from '../../runtime/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { App } from '../app.ts'
import type { CommandSpec } from '../command.ts'
import { encodeLogEntry } from '../container-log.ts'
import type { SupervisorOrder } from '../detached.ts'
import { started } from '../detached.ts'
import { describeLimit, describeNotExecuted } from '../render/exit-words.ts'
import { renderProblem } from '../render/problem.ts'

/** The process behind a detached container; `run -d` starts it and nobody else should. */
export const superviseCommand: CommandSpec = {
  name: 'supervise',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: 'Keep a detached container; run -d calls this',
  options: [],
  examples: ['tsbuild run -d app:1'],
  run: async (_, app) => supervise(JSON.parse(await text(process.stdin)) as SupervisorOrder, app),
}

async function supervise(order: SupervisorOrder, app: App): Promise<number> {
  const records = new ContainerRecords(defaultRoot(app.env))
  let held: HeldRecord | undefined
  try {
    held = records.create(order.record)
    const exit = await runSupervised(order, held, app)
    held.ended({ exitCode: exit.exitCode, endedAtMs: Date.now(), reason: describeEnd(exit) })
  } catch (error) {
    const problem = renderProblem(error).lines.join('\n')
    held?.ended({ exitCode: failedExitCode, endedAtMs: Date.now(), reason: problem })
    answer(problem)
  }
  if (order.record.isRemovedAtEnd) records.discard(order.record.id)
  return 0
}

/** As `docker run` says that the container itself failed. */
const failedExitCode = 125

async function runSupervised({ imageId, settings }: SupervisorOrder, held: HeldRecord, app: App): Promise<ContainerExit> {
  await using engine = await app.openEngine()
  const image = findImage(engine.store, imageId)
  const log = join(held.folder, 'log')
  let spec: ContainerSpec | undefined
  const stdio = {
    kind: 'events' as const,
    hasTerminal: settings.hasTerminal,
    onStarted: (initPid: number) => {
      if (spec === undefined) throw new TypeError('the container started before it was described')
      held.started({ initPid, process: spec.process, privilege: spec.privilege })
      answer(started)
    },
  }
  return await runImage(engine, { ...settings, image, stdio, onSpec: (made) => { spec = made } }, {
    signal: app.signal,
    emit: (event) => {
      if (event.type === 'container-output') appendFileSync(log, encodeLogEntry(event))
      if (event.type === 'warning-raised') appendFileSync(log, encodeLogEntry({ stream: 'stderr', bytes: Buffer.from(`warning: ${event.message}\n`) }))
    },
  })
}

let hasAnswered = false

/** The first answer is what `run -d` waits for; afterwards nobody listens. */
function answer(words: string): void {
  if (hasAnswered) return
  hasAnswered = true
  writeSync(1, words)
  closeSync(1)
}

function describeEnd({ cause, notExecuted }: ContainerExit): string | undefined {
  if (notExecuted !== undefined) return describeNotExecuted(notExecuted)
  return cause === undefined ? undefined : describeLimit(cause)
}
