import { createTask } from '../../core/task.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { parseSecrets, parseSshAgents } from '../secret-options.ts'
import { describeLimit, describeNotExecuted } from '../render/exit-words.ts'
import { printable } from '../render/format.ts'
import { withRawTerminal } from '../terminal.ts'

export const debugCommand: CommandSpec = {
  name: 'debug',
  operands: 'BUILD|BUNDLE [COMMAND...]',
  minOperands: 1,
  maxOperands: Infinity,
  stopsAtOperand: true,
  summary: 'Stand where a RUN step failed: a shell, or a command, with its root filesystem, environment, user, folder, mounts, limits and confinement. Takes a build made with --on-failure=keep, or the folder that --on-failure=bundle wrote',
  options: [
    { name: 'replay', help: 'Run the step\'s own command again, where it began' },
    { name: 'secret', value: 'id=NAME[,src=FILE|,env=NAME]', isRepeatable: true, help: 'Secret of the step; values are never kept' },
    { name: 'ssh', value: 'ID[=SOCKET|=KEY,…]', isRepeatable: true, help: 'Agent or keys of the step' },
  ],
  examples: ['tsbuild debug 4f2a', 'tsbuild debug latest cat /tmp/build.log', 'tsbuild debug --replay ./tsbuild-4f2ab81c09de-bundle'],
  run: debug,
}

async function debug({ operands: [what = '', ...command], options }: CommandInput, app: App): Promise<number> {
  const { getKeptStep, isBundle, readBundle, runKeptStep } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const task = createTask(app)
  const kept = isBundle(what) ? await readBundle(engine, what, task) : getKeptStep(engine.store.root, what)
  const isReplay = options.has('replay')
  const isShell = !isReplay && command.length === 0
  const hasTerminal = isShell && process.stdin.isTTY && process.stdout.isTTY
  if (hasTerminal) app.note(`${kept.label === undefined ? 'the step' : printable(kept.label.source)} ended with exit code ${kept.exitCode}. This is a shell where it failed; what it changes is gone afterwards.`)
  const exit = await withRawTerminal(hasTerminal, () => runKeptStep(engine, {
    kept,
    at: isReplay ? 'before' : 'after',
    args: isReplay ? kept.node.args : isShell ? undefined : command,
    secrets: parseSecrets(options.texts('secret'), app.env),
    sshAgents: parseSshAgents(options.texts('ssh'), app.env),
    stdio: hasTerminal ? { kind: 'terminal', input: 0, output: 1, signals: process } : { kind: 'descriptors', fds: [0, 1, 2], signals: process },
  }, task))
  if (exit.notExecuted !== undefined) app.note(`error: ${describeNotExecuted(exit.notExecuted)}`)
  if (exit.cause !== undefined) app.note(`error: ${describeLimit(exit.cause)}`)
  return exit.exitCode
}
