import { readFileSync } from 'node:fs'
import { canonicalName, defaultRoot, findImage, ImageNotFound, ImageUnavailable, otherPlatforms, pullImage, runImage } from '../../builder/index.ts'
import type { Engine } from '../../builder/index.ts'
import { formatPlatform } from '../../oci/platform.ts'
import type { ContainerExit, ContainerStdio } from '../../runtime/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { StoredImage } from '../../storage/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec, OptionValues } from '../command.ts'
import { confinementOptions, parseRunConfinement, warnOfIsolation } from '../confinement-options.ts'
import type { RunSettings } from '../detached.ts'
import { startDetached } from '../detached.ts'
import { UsageError } from '../errors.ts'
import { askedPlatform, platformOption } from '../option-values.ts'
import { parseRunOptions, runOptions, withRunPrivilege } from '../run-options.ts'
import { describeLimit, describeNotExecuted } from '../render/exit-words.ts'
import { renderTransfers } from '../render/transfers.ts'
import { parseSignal } from '../signal-container.ts'
import { withRawTerminal } from '../terminal.ts'

export const runCommand: CommandSpec = {
  name: 'run',
  operands: 'IMAGE [COMMAND...]',
  minOperands: 1,
  maxOperands: Infinity,
  stopsAtOperand: true,
  summary: 'Run a command in a container of an image; without -d it is removed at its end',
  options: [
    { name: 'interactive', short: 'i', help: 'Pass standard input on' },
    { name: 'tty', short: 't', help: 'Give the container a terminal' },
    { name: 'detach', short: 'd', help: 'Leave the container running and print its id; see ps, logs, exec, stop, rm' },
    { name: 'name', value: 'NAME', help: 'Name of a detached container' },
    { name: 'stop-signal', value: 'SIGNAL', help: 'What stop sends, in place of the image\'s STOPSIGNAL' },
    { name: 'rm', help: 'Remove the container at its end, which without -d is always done' },
    { name: 'env', short: 'e', value: 'NAME[=VALUE]', isRepeatable: true, help: 'Environment variable; without a value it comes from the environment' },
    { name: 'env-file', value: 'FILE', isRepeatable: true, help: 'File with a variable on each line' },
    { name: 'user', short: 'u', value: 'USER[:GROUP]', help: 'User, by name or id' },
    { name: 'workdir', short: 'w', value: 'DIR', help: 'Working directory' },
    { name: 'entrypoint', value: 'COMMAND', help: 'Replaces the ENTRYPOINT of the image' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Platform of the image; one that is here for another is pulled anew' },
    ...confinementOptions,
    ...runOptions,
  ],
  examples: ['tsbuild run -it debian:bookworm bash', 'tsbuild run -d --name web -p 8080:80 app:1', 'tsbuild run --memory 256m --network none app:1'],
  findNamespace: ({ options }, app) => findJoined(options, new ContainerRecords(defaultRoot(app.env))),
  run,
}

/** The kernel lets nobody join a namespace of another user namespace than their own and those below. */
function findJoined(options: OptionValues, records: ContainerRecords): number | undefined {
  const [name] = ['network', 'pid', 'ipc', 'uts'].flatMap((kind) => /^container:(.+)$/u.exec(options.text(kind) ?? '')?.[1] ?? [])
  return name === undefined ? undefined : records.getRunning(name).running.initPid
}

async function run({ operands: [name = '', ...command], options }: CommandInput, app: App): Promise<number> {
  checkDetached(options)
  const hasTerminal = options.has('tty')
  const settings = runSettings({ command, options }, app.env)
  if (options.has('detach') && settings.confinement.executor.kind !== 'helper') throw new UsageError('option -d needs the built-in runtime and namespaces')
  warnOfIsolation(settings.confinement, app)
  await using engine = await app.openEngine()
  const image = await findOrPull(engine, { name, options }, app)
  if (options.has('detach')) return await startDetached({ name: options.text('name'), image, imageName: name, settings, isRemovedAtEnd: options.has('rm'), stopSignal: options.text('stop-signal') }, app)
  const stdio = containerStdio(options)
  const exit = await withRawTerminal(hasTerminal, () => runImage(engine, { ...settings, image, stdio }, { signal: neverAborted, emit: (event) => { if (event.type === 'warning-raised') app.note(`warning: ${event.message}`) } }))
  for (const line of explain(exit)) app.note(line)
  return exit.exitCode
}

/** @throws {UsageError} */
function checkDetached(options: OptionValues): void {
  const isDetached = options.has('detach')
  if (isDetached && options.has('interactive')) throw new UsageError('option -d leaves the container alone, so it has no standard input')
  if (!isDetached && options.has('tty') && !process.stdin.isTTY) throw new UsageError('option -t needs a terminal on standard input')
  for (const option of ['name', 'stop-signal']) if (options.has(option) && !isDetached) throw new UsageError(`option --${option} needs -d: a container in the foreground cannot be asked for`)
  const [name, stopSignal] = [options.text('name'), options.text('stop-signal')]
  if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/u.test(name)) throw new UsageError(`option --name takes two or more letters, digits, "_", "." and "-", the first one no sign, not "${name}"`)
  if (stopSignal !== undefined) parseSignal(stopSignal)
}

/** The container gets our signals and decides when to end, as with docker run. */
const neverAborted = new AbortController().signal

function containerStdio(options: OptionValues): ContainerStdio {
  if (options.has('tty')) return { kind: 'terminal', input: 0, output: 1, signals: process }
  return { kind: 'descriptors', fds: [options.has('interactive') ? 0 : -1, 1, 2], signals: process }
}

async function findOrPull(engine: Engine, { name, options }: { name: string; options: OptionValues }, app: App): Promise<StoredImage> {
  const asked = askedPlatform(options)
  const found = findIfThere(engine.store, name)
  const others = found === undefined || asked === undefined ? [] : await otherPlatforms(engine.store, found, asked)
  if (found !== undefined && others.length === 0) return found
  const platforms = others.map(formatPlatform).join(' and ')
  if (found !== undefined && !found.names.includes(canonicalName(name))) throw new ImageUnavailable(name, `it is for ${platforms}`)
  app.note(found === undefined ? `Unable to find image '${name}' locally` : `The image '${name}' found locally is for ${platforms}`)
  return pullImage(engine, { name: canonicalName(name), platform: platformOption(options) }, { signal: app.signal, emit: renderTransfers(app, false) })
}

function findIfThere(store: Engine['store'], name: string): StoredImage | undefined {
  try {
    return findImage(store, name)
  } catch (error) {
    if (error instanceof ImageNotFound) return undefined
    throw error
  }
}

function runSettings({ command, options }: { command: readonly string[]; options: OptionValues }, env: NodeJS.ProcessEnv): RunSettings {
  const records = new ContainerRecords(defaultRoot(env))
  const findInit = (container: string): number => records.getRunning(container).running.initPid
  return {
    command,
    entrypoint: options.text('entrypoint'),
    env: [...options.texts('env-file').flatMap((path) => readEnvFile(path, env)), ...options.texts('env').flatMap((text) => envEntry(text, env))],
    platform: askedPlatform(options),
    user: options.text('user'),
    workdir: options.text('workdir'),
    ...parseRunOptions(options, findInit),
    confinement: withRunPrivilege(parseRunConfinement(options, env, findInit), options),
    hasTerminal: options.has('tty'),
  }
}

/** A name alone is passed on if we have it ourselves. */
function envEntry(text: string, env: NodeJS.ProcessEnv): string[] {
  const equals = text.indexOf('=')
  if (equals === 0 || text === '') throw new UsageError(`an environment variable is written NAME=VALUE, not "${text}"`)
  if (equals > 0) return [text]
  const value = env[text]
  return value === undefined ? [] : [`${text}=${value}`]
}

function readEnvFile(path: string, env: NodeJS.ProcessEnv): string[] {
  const lines = readFileSync(path, 'utf8').split('\n').map((line) => line.trimStart())
  return lines.filter((line) => line !== '' && !line.startsWith('#')).flatMap((line) => envEntry(line, env))
}

function explain({ cause, notExecuted }: ContainerExit): string[] {
  return [...(notExecuted === undefined ? [] : [`error: ${describeNotExecuted(notExecuted)}`]), ...(cause === undefined ? [] : [`error: ${describeLimit(cause)}`])]
}
