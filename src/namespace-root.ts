import { constants } from 'node:os'
import { defaultRoot } from '../builder/index.ts'
import { enterUserNamespace } from '../runtime/index.ts'
import type { App } from './app.ts'
import { callersConfig, configPath } from './config.ts'

interface Inside {
  /** In place of our own arguments. */
  readonly args?: readonly string[]
  readonly stdout?: number
  /** A process whose user namespace it is; default a new one. */
  readonly namespaceOf?: number | undefined
}

/**
 * Runs this command line again as root of a user namespace, which a plain user needs for files of several owners and
 * for containers. Inside, everything goes as it does for root. Gives the exit code.
 */
export async function runAsNamespaceRoot(app: App, { args = process.argv.slice(2), ...inside }: Inside = {}): Promise<number> {
  const [program = process.execPath, script = ''] = process.argv
  const { exitCode, signal } = await enterUserNamespace({
    program,
    // "--" because Node takes any --env-file before it for its own.
    args: [program, ...process.execArgv, '--', script, ...args],
    env: { ...app.env, TSBUILD_ROOT: defaultRoot(app.env), [callersConfig]: configPath(app.env) },
    ...inside,
    warn: (text) => { app.note(`warning: ${text}`) },
    forward: forwardSignals,
  })
  return exitCode ?? (signal === undefined ? 1 : 128 + constants.signals[signal])
}

const fromKeyboard: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT']
const fromOthers: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP']

/** A terminal sends its keys' signals to both processes, and only the other one may act on them then. */
function forwardSignals(kill: (signal: NodeJS.Signals) => void): () => void {
  const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  const all = [...fromKeyboard, ...fromOthers]
  const act = (signal: NodeJS.Signals): void => { if (!hasTerminal || !fromKeyboard.includes(signal)) kill(signal) }
  for (const signal of all) process.removeAllListeners(signal).on(signal, act)
  return () => { for (const signal of all) process.off(signal, act) }
}
