import { appendFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { OciContainers } from '../../runtime/index.ts'
import type { App } from '../app.ts'
import { parseArguments } from '../arguments.ts'
import type { CommandSpec, OptionValues } from '../command.ts'
import { UsageError } from '../errors.ts'
import { findOciOperation, ociOperationNames } from '../oci-operations.ts'

/** The command line that engines call an OCI runtime by. @see docs/decisions/0084-called-as-a-runtime.md */
export const ociRuntimeCommand: CommandSpec = {
  name: 'oci-runtime',
  operands: 'create|start|run|exec|state|kill|delete [OPTIONS] ID [ARG...]',
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
      log(options, { level: 'error', error })
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
  const operation = findOciOperation(name)
  if (operation === undefined) throw new UsageError(`"tsbuild oci-runtime" needs one of ${ociOperationNames.join(', ')}${name === undefined ? '' : `, not "${name}"`}`, 'oci-runtime')
  if (process.geteuid?.() !== 0) throw new UsageError('"tsbuild oci-runtime" needs to be root: containers that outlive it cannot be had otherwise', 'oci-runtime')
  const spec: CommandSpec = { ...operation, summary: '', examples: [], minOperands: 1, name: `oci-runtime ${operation.name}`, run: () => Promise.resolve(0) }
  const warn = (error: unknown): void => {
    log(options, { level: 'warning', error })
    app.note(`warning: ${error instanceof Error ? error.message : String(error)}`)
  }
  return await operation.act(parseArguments(spec, args), new OciContainers(resolve(options.text('root') ?? '/run/tsbuild-oci'), { warn }), app) ?? 0
}

/** In the words of the runtimes, by which engines find out what went wrong. */
function log(options: OptionValues, { level, error }: { readonly level: 'error' | 'warning'; readonly error: unknown }): void {
  const file = options.text('log')
  if (file === undefined || file === '') return
  const entry = { level, msg: error instanceof Error ? error.message : String(error), time: new Date().toISOString() }
  appendFileSync(file, `${options.text('log-format') === 'json' ? JSON.stringify(entry) : `time="${entry.time}" level=${level} msg=${JSON.stringify(entry.msg)}`}\n`)
}
