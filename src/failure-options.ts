import { resolve } from 'node:path'
import { createTask } from '../core/task.ts'
import type { Engine, FailedStep, KeptStep, OnFailure } from '../builder/index.ts'
import { SecretLeaked, writeBundle } from '../builder/index.ts'
import type { App } from './app.ts'
import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { parseChoice } from './option-values.ts'
import { describeNotExecuted } from './render/exit-words.ts'
import { printable } from './render/format.ts'
import { withRawTerminal } from './terminal.ts'

export const failureOption: OptionSpec = { name: 'on-failure', value: 'WHAT', help: 'When a RUN fails: shell opens one where it failed, keep keeps that for "tsbuild debug", bundle writes it to a folder' }

type FailureMode = 'shell' | 'keep' | 'bundle'
/** Keeps the screen free while a shell has it. */
type Pause = <T>(work: () => Promise<T>) => Promise<T>

/** @throws {UsageError} */
export function openFailureHandler(options: OptionValues, app: App, pause: Pause): FailureHandler | undefined {
  const mode = parseChoice(options, 'on-failure', ['shell', 'keep', 'bundle'])
  if (mode === 'shell' && !(process.stdin.isTTY && process.stdout.isTTY)) throw new UsageError('option --on-failure shell needs a terminal; keep keeps the failed step for "tsbuild debug"')
  return mode === undefined ? undefined : new FailureHandler(mode, app, pause)
}

/** What a command does about a RUN step that failed. */
export class FailureHandler {
  readonly #mode: FailureMode
  readonly #app: App
  readonly #pause: Pause
  #kept: KeptStep | undefined
  #problem: SecretLeaked | undefined

  constructor(mode: FailureMode, app: App, pause: Pause) {
    this.#mode = mode
    this.#app = app
    this.#pause = pause
  }

  readonly handle: OnFailure = async (failed) => {
    if (this.#mode === 'shell') return this.#pause(() => this.#openShell(failed))
    // Two steps can fail at once; the first is the one the build fails with.
    if (this.#kept !== undefined) return
    try {
      this.#kept = await failed.keep()
    } catch (error) {
      if (!(error instanceof SecretLeaked)) throw error
      this.#problem = error
    }
  }

  /** After the build: says what was kept, and writes the bundle, which has the whole log in it. */
  async finish(engine: Engine): Promise<void> {
    if (this.#problem !== undefined) this.#app.note(`nothing was kept of the failed step: ${printable(this.#problem.message)}`)
    if (this.#kept === undefined) return
    const { build } = this.#kept
    if (this.#mode === 'keep') {
      this.#app.note(`kept where it failed: tsbuild debug ${build}`)
      return
    }
    const folder = resolve(`tsbuild-${build}-bundle`)
    await writeBundle(engine, { kept: this.#kept, folder }, createTask(this.#app))
    this.#app.note(`wrote ${folder}: "tsbuild debug ${folder}" stands where it failed, on any machine`)
  }

  async #openShell(failed: FailedStep): Promise<void> {
    const { label, exitCode } = failed
    this.#app.note(`${label === undefined ? 'the step' : `${printable(label.source)} (line ${label.place.startLine})`} ended with exit code ${exitCode}. This is a shell where it failed; leave it to end the build.`)
    const exit = await withRawTerminal(true, () => failed.run([], { kind: 'terminal', input: 0, output: 1, signals: process }))
    if (exit.notExecuted !== undefined) this.#app.note(`error: ${describeNotExecuted(exit.notExecuted)}`)
  }
}
