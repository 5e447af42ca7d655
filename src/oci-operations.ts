import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { OciContainers, OciExec } from '../runtime/index.ts'
import { execDetached, execProcess, readExecProcess } from '../runtime/index.ts'
import type { App } from './app.ts'
import type { CommandInput, OptionSpec, OptionValues } from './command.ts'
import { environmentOption, givenVariables, replaceVariables } from './environment-option.ts'
import { UsageError } from './errors.ts'
import { parseSignal } from './signal-container.ts'
import { withRawTerminal } from './terminal.ts'

/** What an OCI runtime is asked for by its first word. */
export interface OciOperation {
  readonly name: string
  readonly operands: string
  readonly maxOperands: number
  readonly stopsAtOperand?: boolean
  readonly options: readonly OptionSpec[]
  /** Returns the exit code where that is not 0. */
  readonly act: (input: CommandInput, containers: OciContainers, app: App) => Promise<number | undefined>
}

const bundleOption: OptionSpec = { name: 'bundle', short: 'b', value: 'FOLDER', help: 'With config.json (default the working directory)' }
const pidFileOption: OptionSpec = { name: 'pid-file', value: 'FILE', help: 'Gets the pid of the process' }
const consoleOption: OptionSpec = { name: 'console-socket', value: 'PATH', help: 'Listens there for the terminal' }
const preserveOption: OptionSpec = { name: 'preserve-fds', value: 'N', help: 'Only 0' }
const creation: readonly OptionSpec[] = [
  bundleOption, pidFileOption, consoleOption, preserveOption,
  { name: 'no-pivot', help: 'Refused: the root is always entered by pivot_root' },
  { name: 'no-new-keyring', help: 'Refused: there always is a new one' },
]

const operations: readonly OciOperation[] = [
  { name: 'create', operands: 'ID', maxOperands: 1, options: creation, act: create },
  { name: 'start', operands: 'ID', maxOperands: 1, options: [], act: async ({ operands: [id = ''] }, containers) => { await containers.start(id); return undefined } },
  {
    name: 'run',
    operands: 'ID',
    maxOperands: 1,
    options: [...creation, { name: 'detach', short: 'd', help: 'Do not wait for its end' }],
    act: async (input, containers) => {
      if (!input.options.has('detach')) return runToEnd(input, containers)
      await create(input, containers)
      await containers.start(input.operands[0] ?? '')
      return undefined
    },
  },
  {
    name: 'exec',
    operands: 'ID [COMMAND...]',
    maxOperands: Infinity,
    stopsAtOperand: true,
    options: [
      pidFileOption, consoleOption, preserveOption,
      { name: 'process', short: 'p', value: 'FILE', help: 'The process as config.json has it' },
      { name: 'detach', short: 'd', help: 'Do not wait for its end' },
      { name: 'tty', short: 't', help: 'Give it a terminal' },
      environmentOption,
      { name: 'user', short: 'u', value: 'UID[:GID]', help: 'User, by id' },
      { name: 'cwd', value: 'DIR', help: 'Working directory' },
    ],
    act: exec,
  },
  {
    name: 'state',
    operands: 'ID',
    maxOperands: 1,
    options: [],
    act: ({ operands: [id = ''] }, containers, app) => {
      app.print(JSON.stringify(containers.state(id), undefined, 2))
      return Promise.resolve(undefined)
    },
  },
  {
    name: 'kill',
    operands: 'ID [SIGNAL]',
    maxOperands: 2,
    options: [{ name: 'all', short: 'a', help: 'Every process of the container' }],
    act: ({ operands: [id = '', signal = 'TERM'], options }, containers) => {
      containers.kill(id, parseSignal(signal), { isForAll: options.has('all') })
      return Promise.resolve(undefined)
    },
  },
  {
    name: 'delete',
    operands: 'ID',
    maxOperands: 1,
    options: [{ name: 'force', short: 'f', help: 'Kill it first if it runs' }],
    act: async ({ operands: [id = ''], options }, containers) => { await containers.delete(id, { isForced: options.has('force') }); return undefined },
  },
]

export const ociOperationNames: readonly string[] = operations.map(({ name }) => name)

export function findOciOperation(name: string | undefined): OciOperation | undefined {
  return operations.find((known) => known.name === name)
}

function refuseUndone(options: OptionValues, names: readonly string[]): void {
  for (const name of names) if (options.has(name)) throw new UsageError(`option --${name} cannot be used: this runtime does not do it`, 'oci-runtime')
  if ((options.text('preserve-fds') ?? '0') !== '0') throw new UsageError('option --preserve-fds takes only 0: no descriptors are passed on', 'oci-runtime')
}

function bundleOf(options: OptionValues): string {
  refuseUndone(options, ['no-pivot', 'no-new-keyring'])
  return resolve(options.text('bundle') ?? '.')
}

function consoleOf(options: OptionValues): string | undefined {
  const socket = options.text('console-socket')
  return socket === undefined ? undefined : resolve(socket)
}

function writePid(options: OptionValues, pid: number): void {
  const file = options.text('pid-file')
  if (file !== undefined) writeFileSync(file, String(pid))
}

async function create({ operands: [id = ''], options }: CommandInput, containers: OciContainers): Promise<undefined> {
  writePid(options, await containers.create(id, bundleOf(options), { fds: [0, 1, 2], consoleSocket: consoleOf(options) }))
}

function runToEnd({ operands: [id = ''], options }: CommandInput, containers: OciContainers): Promise<number> {
  for (const name of ['console-socket', 'pid-file']) if (options.has(name)) throw new UsageError(`option --${name} of run is for --detach: without it the terminal is yours, and the process is waited for`, 'oci-runtime')
  return withRawTerminal(process.stdin.isTTY, () => containers.run(id, bundleOf(options), { fds: [0, 1, 2], signals: process }))
}

async function exec({ operands: [id = '', ...args], options }: CommandInput, containers: OciContainers): Promise<number | undefined> {
  refuseUndone(options, [])
  const kept = containers.running(id)
  const consoleSocket = consoleOf(options)
  const asked = readExec(kept, args, options)
  const { hasTerminal } = asked
  const given: OciExec = { ...asked, fds: [0, 1, 2] }
  if (!options.has('detach')) {
    if (consoleSocket !== undefined || options.has('pid-file')) throw new UsageError('options --console-socket and --pid-file of exec are for --detach', 'oci-runtime')
    return withRawTerminal(hasTerminal && process.stdin.isTTY, () => execProcess(kept, given, process))
  }
  if (hasTerminal !== (consoleSocket !== undefined)) throw new UsageError(hasTerminal ? 'a detached process with a terminal needs --console-socket' : 'option --console-socket is for a process with a terminal', 'oci-runtime')
  writePid(options, await execDetached(kept, given, { socket: consoleSocket }))
  return undefined
}

function readExec(kept: ReturnType<OciContainers['running']>, args: readonly string[], options: OptionValues): Omit<OciExec, 'fds'> {
  const file = options.text('process')
  if (file !== undefined) {
    const wrong = ['env', 'user', 'cwd'].find((name) => options.has(name))
    if (wrong !== undefined || args.length > 0) throw new UsageError(`"tsbuild oci-runtime exec" takes either --process or ${wrong === undefined ? 'a command' : `--${wrong}`}`, 'oci-runtime')
    const read = readExecProcess(file, kept)
    return { ...read, hasTerminal: read.hasTerminal || options.has('tty') }
  }
  if (args.length === 0) throw new UsageError('"tsbuild oci-runtime exec" needs a command, or --process', 'oci-runtime')
  const process = { ...kept.process, args, env: replaceVariables(kept.process.env, givenVariables({ files: [], entries: options.texts('env') }, globalThis.process.env)), cwd: options.text('cwd') ?? kept.process.cwd, user: parseUser(options.text('user')) ?? kept.process.user }
  return { process, privilege: kept.privilege, hasTerminal: options.has('tty') }
}

function parseUser(text: string | undefined): OciExec['process']['user'] | undefined {
  if (text === undefined) return undefined
  const [, uid, gid = '0'] = /^(\d{1,10})(?::(\d{1,10}))?$/u.exec(text) ?? []
  if (uid === undefined) throw new UsageError(`option --user takes ids, UID[:GID], not "${text}"`, 'oci-runtime')
  return { uid: Number(uid), gid: Number(gid), groups: [] }
}
