import { appendFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { OciContainers } from '../../runtime/index.ts'
import type { App } from '../app.ts'
import { parseArguments } from '../arguments.ts'
import type { CommandInput, CommandSpec, OptionSpec, OptionValues } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseSignal } from '../signal-container.ts'

/** The command line that engines call an OCI runtime by. @see docs/decisions/0084-called-as-a-runtime.md */
export const ociRuntimeCommand: CommandSpec = {
  name: 'oci-runtime',
  operands: 'create|start|state|kill|delete [OPTIONS] ID [SIGNAL]',
  minOperands: 0,
  maxOperands: Infinity,
  stopsAtOperand: true,
  summary: 'Run bundles as other engines ask for; tsbuild-runtime is the same',
  options: [
    { name: 'root', value: 'FOLDER', help: 'Where the state of containers is (default /run/tsbuild-oci)' },
    { name: 'log', value: 'FILE', help: 'Write problems there too' },
    { name: 'log-format', value: 'FORMAT', help: 'Of the log: text or json (default text)' },
    { name: 'systemd-cgroup', help: 'Refused: cgroups are made by path' },
    { name: 'version', short: 'v', help: 'Show the version of the specification' },
  ],
  examples: ['tsbuild oci-runtime create --bundle . --pid-file pid web', 'tsbuild oci-runtime start web', 'podman --runtime /usr/local/bin/tsbuild-runtime run alpine true'],
  run: async ({ operands, options }, app) => {
    try {
      return await run(operands, options, app)
    } catch (error) {
      log(options, error)
      throw error
    }
  },
}

async function run(operands: readonly string[], options: OptionValues, app: App): Promise<number> {
  const [name, ...args] = operands
  if (options.has('version')) {
    app.print('tsbuild-runtime\nspec: 1.0.2')
    return 0
  }
  if (options.has('systemd-cgroup')) throw new UsageError('option --systemd-cgroup cannot be used: cgroups are made by path here; have the engine use cgroupfs', 'oci-runtime')
  const operation = operations.find((known) => known.name === name)
  if (operation === undefined) throw new UsageError(`"tsbuild oci-runtime" needs one of ${operations.map((known) => known.name).join(', ')}${name === undefined ? '' : `, not "${name}"`}`, 'oci-runtime')
  if (process.geteuid?.() !== 0) throw new UsageError('"tsbuild oci-runtime" needs to be root: containers that outlive it cannot be had otherwise', 'oci-runtime')
  const spec: CommandSpec = { ...operation, summary: '', examples: [], minOperands: 1, name: `oci-runtime ${operation.name}`, run: () => Promise.resolve(0) }
  await operation.act(parseArguments(spec, args), new OciContainers(resolve(options.text('root') ?? '/run/tsbuild-oci')), app)
  return 0
}

interface Operation {
  readonly name: string
  readonly operands: string
  readonly maxOperands: number
  readonly options: readonly OptionSpec[]
  readonly act: (input: CommandInput, containers: OciContainers, app: App) => Promise<void>
}

const operations: readonly Operation[] = [
  {
    name: 'create',
    operands: 'ID',
    maxOperands: 1,
    options: [
      { name: 'bundle', short: 'b', value: 'FOLDER', help: 'With config.json (default the working directory)' },
      { name: 'pid-file', value: 'FILE', help: 'Gets the pid of the container\'s init' },
      { name: 'console-socket', value: 'PATH', help: 'Refused: no terminals' },
      { name: 'no-pivot', help: 'Refused: the root is always entered by pivot_root' },
      { name: 'no-new-keyring', help: 'Refused: there always is a new one' },
      { name: 'preserve-fds', value: 'N', help: 'Only 0' },
    ],
    act: create,
  },
  { name: 'start', operands: 'ID', maxOperands: 1, options: [], act: async ({ operands: [id = ''] }, containers) => containers.start(id) },
  {
    name: 'state',
    operands: 'ID',
    maxOperands: 1,
    options: [],
    act: ({ operands: [id = ''] }, containers, app) => {
      app.print(JSON.stringify(containers.state(id), undefined, 2))
      return Promise.resolve()
    },
  },
  {
    name: 'kill',
    operands: 'ID [SIGNAL]',
    maxOperands: 2,
    options: [],
    act: ({ operands: [id = '', signal = 'TERM'] }, containers) => {
      containers.kill(id, parseSignal(signal))
      return Promise.resolve()
    },
  },
  {
    name: 'delete',
    operands: 'ID',
    maxOperands: 1,
    options: [{ name: 'force', short: 'f', help: 'Kill it first if it runs' }],
    act: async ({ operands: [id = ''], options }, containers) => containers.delete(id, { isForced: options.has('force') }),
  },
]

async function create({ operands: [id = ''], options }: CommandInput, containers: OciContainers): Promise<void> {
  for (const name of ['console-socket', 'no-pivot', 'no-new-keyring']) if (options.has(name)) throw new UsageError(`option --${name} cannot be used: this runtime does not do it`, 'oci-runtime')
  if ((options.text('preserve-fds') ?? '0') !== '0') throw new UsageError('option --preserve-fds takes only 0: no descriptors are passed on', 'oci-runtime')
  const pid = await containers.create(id, resolve(options.text('bundle') ?? '.'), [0, 1, 2])
  const pidFile = options.text('pid-file')
  if (pidFile !== undefined) writeFileSync(pidFile, String(pid))
}

/** In the words of the runtimes, by which engines find out what went wrong. */
function log(options: OptionValues, error: unknown): void {
  const file = options.text('log')
  if (file === undefined || file === '') return
  const entry = { level: 'error', msg: error instanceof Error ? error.message : String(error), time: new Date().toISOString() }
  appendFileSync(file, `${options.text('log-format') === 'json' ? JSON.stringify(entry) : `time="${entry.time}" level=error msg=${JSON.stringify(entry.msg)}`}\n`)
}
