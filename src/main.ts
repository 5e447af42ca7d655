import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Canceled } from '../core/errors.ts'
import { findNearest } from '../core/nearest.ts'
import type { App } from './app.ts'
import { parseArguments } from './arguments.ts'
import { commands } from './commands/index.ts'
import { UsageError } from './errors.ts'
import { foreignCommands } from './foreign-commands.ts'
import { commandHelp, describeCommands, listed, programHelp } from './help.ts'
import { withoutManagementWord } from './management-words.ts'

/** Runs one command line and gives its exit code. */
async function main(given: readonly string[], app: App): Promise<number> {
  const args = withoutManagementWord(given)
  const [first, ...rest] = args
  if (first === 'help' && rest[0] !== undefined) return main([...rest, '--help'], app)
  if (first === undefined || ['help', '--help', '-h'].includes(first)) {
    app.print(programHelp(commands))
    return 0
  }
  if (['version', '--version', '-v'].includes(first)) {
    if (rest[0] !== undefined) throw new UsageError(`"tsbuild ${first}" takes no "${rest[0]}": it prints "tsbuild version" and the version`)
    app.print(`tsbuild version ${readVersion()}`)
    return 0
  }
  const entry = commands.find(({ name }) => name === first)
  if (entry !== undefined) return runCommand(entry.name, rest, app)
  if (isBuild(first)) return runCommand('build', args, app)
  if (Object.hasOwn(foreignCommands, first)) throw new UsageError(`there is no "tsbuild ${first}": ${foreignCommands[first] ?? ''}`)
  const suggestion = findNearest(first, listed(commands).map(({ name }) => name))
  throw new UsageError(`"${first}" is no command of tsbuild and no folder${suggestion === undefined ? '' : `; did you mean "${suggestion}"?`}`)
}

/** `tsbuild -t app:1 .`: a command line without a command builds. */
function isBuild(first: string): boolean {
  return first.startsWith('-') || /^[./~]|[/:]/u.test(first)
}

async function runCommand(name: string, args: readonly string[], app: App): Promise<number> {
  const entry = commands.find((known) => known.name === name)
  if (entry === undefined) throw new TypeError(`no command ${name}`)
  const command = await entry.load()
  const input = parseArguments(command, args)
  if (input.options.has('help')) {
    app.print(commandHelp(command))
    return 0
  }
  if (entry.runsAsCaller !== true && process.geteuid?.() !== 0) {
    const { runAsNamespaceRoot } = await import('./namespace-root.ts')
    return runAsNamespaceRoot(app, { namespaceOf: command.findNamespace?.(input, app) })
  }
  return command.run(input, app)
}

function readVersion(): string {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as { version: string }
  return version
}

/** One signal asks, a second one does not wait. */
function stopOnSignals(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(exitCodes[signal])
      controller.abort(new Canceled(signal))
    })
  }
  return controller.signal
}

const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }

function createApp(): App {
  // Whoever reads our output may stop early; that is their right and no failure of ours.
  process.stdout.on('error', () => process.exit(0))
  process.stderr.on('error', () => undefined)
  return {
    env: process.env,
    args: process.argv.slice(2),
    signal: stopOnSignals(),
    isTerminal: process.stderr.isTTY,
    print: (line) => process.stdout.write(`${line}\n`),
    note: (line) => process.stderr.write(`${line}\n`),
    listCommands: () => describeCommands(commands),
    openEngine: async (options) => (await import('../builder/index.ts')).openEngine({ ...options, env: process.env }),
  }
}

async function start(): Promise<void> {
  // What ends without having come to an end is no success: a promise nobody settles leaves Node with nothing to do.
  process.exitCode = 70
  const app = createApp()
  try {
    process.exitCode = await main(app.args, app)
  } catch (error) {
    const { renderProblem } = await import('./render/problem.ts')
    const problem = renderProblem(error)
    for (const line of problem.lines) app.note(line)
    process.exitCode = problem.exitCode
  }
  await Promise.all([process.stdout, process.stderr].map(written))
  // Otherwise Node takes its heap apart first, a twentieth of a short command's time.
  process.exit()
}

/** A pipe takes what fits and has the rest written later. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => { stream.write('', () => { resolve() }) })
}

void start()
