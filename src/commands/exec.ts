import { defaultRoot, resolveUserBy } from '../../builder/index.ts'
import type { ContainerStdio, ProcessSpec } from '../../runtime/index.ts'
import { ContainerRecords, execInContainer, readContainerFile } from '../../runtime/index.ts'
import type { CommandSpec, OptionValues } from '../command.ts'
import { environmentFileOption, environmentOption, givenVariables, replaceVariables } from '../environment-option.ts'
import { UsageError } from '../errors.ts'
import { describeNotExecuted } from '../render/exit-words.ts'
import { foreignOptions } from '../foreign-options.ts'
import { withRawTerminal } from '../terminal.ts'

export const execCommand: CommandSpec = {
  name: 'exec',
  operands: 'CONTAINER COMMAND...',
  minOperands: 2,
  maxOperands: Infinity,
  stopsAtOperand: true,
  summary: 'Run one more command in a detached container',
  options: [
    { name: 'interactive', short: 'i', help: 'Pass standard input on' },
    { name: 'tty', short: 't', help: 'Give the command a terminal' },
    environmentOption,
    environmentFileOption,
    { name: 'user', short: 'u', value: 'USER[:GROUP]', help: 'User, by name or id' },
    { name: 'workdir', short: 'w', value: 'DIR', help: 'Working directory' },
  ],
  foreignOptions: foreignOptions.exec,
  examples: ['tsbuild exec -it web sh'],
  findNamespace: ({ operands: [name = ''] }, app) => new ContainerRecords(defaultRoot(app.env)).getRunning(name).running.initPid,
  run: async ({ operands: [name = '', ...args], options }, app) => {
    const hasTerminal = options.has('tty')
    if (hasTerminal && !process.stdin.isTTY) throw new UsageError('option -t needs a terminal on standard input')
    const { id, running } = new ContainerRecords(defaultRoot(app.env)).getRunning(name)
    const stdio: Exclude<ContainerStdio, { kind: 'events' }> = hasTerminal
      ? { kind: 'terminal', input: 0, output: 1, signals: process }
      : { kind: 'descriptors', fds: [options.has('interactive') ? 0 : -1, 1, 2], signals: process }
    const user = await resolveExecUser(running.initPid, options.text('user')) ?? running.process.user
    const spec = { containerId: id, initPid: running.initPid, privilege: running.privilege, process: { ...execProcess(running.process, args, { options, env: app.env }), user } }
    const exit = await withRawTerminal(hasTerminal, () => execInContainer(spec, stdio))
    if (exit.notExecuted !== undefined) app.note(`error: ${describeNotExecuted(exit.notExecuted)}`)
    return exit.exitCode
  },
}

function execProcess(main: ProcessSpec, args: readonly string[], { options, env }: { readonly options: OptionValues; readonly env: NodeJS.ProcessEnv }): ProcessSpec {
  const added = givenVariables({ files: options.texts('env-file'), entries: options.texts('env') }, env)
  return { ...main, args, env: replaceVariables(main.env, added), cwd: options.text('workdir') ?? main.cwd }
}

/** Account files are read whole, as those of an image are. */
const mostBytes = 10 * 1024 * 1024

async function resolveExecUser(initPid: number, text: string | undefined): Promise<ProcessSpec['user'] | undefined> {
  if (text === undefined) return undefined
  const { uid, gid, groups } = await resolveUserBy((path) => Promise.resolve(readContainerFile(initPid, path, mostBytes)), text)
  return { uid, gid, groups }
}
