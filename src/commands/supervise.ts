import { appendFileSync, closeSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { isErrno } from '../../core/errors.ts'
import { defaultRoot, findImage, runImage } from '../../builder/index.ts'
import type { ContainerExit, ContainerSpec, HeldRecord } from '../../runtime/index.ts'
import { ContainerRecords, findMainProcess, runningState } from '../../runtime/index.ts'
import type { App } from '../app.ts'
import type { CommandSpec } from '../command.ts'
import { encodeLogEntry } from '../container-log.ts'
import type { SupervisorAnswer, SupervisorOrder } from '../detached.ts'
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
    answer(exit.notExecuted === undefined ? { kind: 'started' } : { kind: 'not-executed', problem: describeNotExecuted(exit.notExecuted), exitCode: exit.exitCode })
  } catch (error) {
    const problem = renderProblem(error).lines.join('\n')
    held?.ended({ exitCode: failedExitCode, endedAtMs: Date.now(), reason: problem })
    answer({ kind: 'failed', problem: problem.replace(/^error: /u, '') })
  }
  if (order.record.isRemovedAtEnd) records.discard(order.record.id)
  return 0
}

/** As `docker run` says that the container itself failed. */
const failedExitCode = 125

async function runSupervised({ imageId, settings, stopSignal }: SupervisorOrder, held: HeldRecord, app: App): Promise<ContainerExit> {
  await using engine = await app.openEngine()
  const image = findImage(engine.store, imageId)
  const log = join(held.folder, 'log')
  let made: { readonly spec: ContainerSpec; readonly stopSignal: string | undefined } | undefined
  const stdio = {
    kind: 'events' as const,
    hasTerminal: settings.hasTerminal,
    onStarted: (initPid: number) => {
      if (made === undefined) throw new TypeError('the container started before it was described')
      held.started(runningState(made.spec, initPid, stopSignal ?? made.stopSignal))
      void answerOnceExecuted(initPid)
    },
  }
  return await runImage(engine, { ...settings, image, stdio, onSpec: (spec, imageSignal) => { made = { spec, stopSignal: imageSignal } } }, {
    signal: app.signal,
    emit: (event) => {
      if (event.type === 'container-output') appendFileSync(log, encodeLogEntry(event))
      if (event.type === 'warning-raised') appendFileSync(log, encodeLogEntry({ stream: 'stderr', bytes: Buffer.from(`warning: ${event.message}\n`) }))
    },
  })
}

let hasAnswered = false
const pollMs = 2

/** Until it executes its program, the container's process is called as its init is. The end of the container answers as well. */
async function answerOnceExecuted(initPid: number): Promise<void> {
  while (!hasAnswered) {
    if (hasExecuted(initPid)) answer({ kind: 'started' })
    await setTimeout(pollMs)
  }
}

function hasExecuted(initPid: number): boolean {
  try {
    const main = findMainProcess(initPid)
    return main !== undefined && readFileSync(`/proc/${main}/comm`, 'utf8') !== readFileSync(`/proc/${initPid}/comm`, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return false
    throw error
  }
}

/** The first answer is what `run -d` waits for; afterwards nobody listens. The container stays when `run -d` was interrupted meanwhile. */
function answer(words: SupervisorAnswer): void {
  if (hasAnswered) return
  hasAnswered = true
  try {
    writeSync(1, JSON.stringify(words))
  } catch (error) {
    if (!isErrno(error, 'EPIPE')) throw error
  }
  closeSync(1)
}

function describeEnd({ cause, notExecuted }: ContainerExit): string | undefined {
  if (notExecuted !== undefined) return describeNotExecuted(notExecuted)
  return cause === undefined ? undefined : describeLimit(cause)
}
