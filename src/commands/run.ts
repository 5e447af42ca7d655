import { canonicalName, defaultRoot, findImage, ImageNotFound, ImageUnavailable, otherPlatforms, pullImage, runImage } from '../../builder/index.ts'
import type { Engine } from '../../builder/index.ts'
import { formatPlatform } from '../../oci/platform.ts'
import type { ContainerExit, ContainerStdio } from '../../runtime/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { StoredImage } from '../../storage/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec, OptionValues } from '../command.ts'
import { confinementOptions, parseRunConfinement, warnOfIsolation } from '../confinement-options.ts'
import { holdRecord, namingOptions, parseNaming } from '../container-naming.ts'
import type { Named, RunSettings } from '../detached.ts'
import { startDetached } from '../detached.ts'
import { environmentFileOption, environmentOption, givenVariables } from '../environment-option.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { withDefaults } from '../option-defaults.ts'
import { askedPlatform, parseChoice, platformOption } from '../option-values.ts'
import { parseRunOptions, runOptions, withRunPrivilege } from '../run-options.ts'
import { describeLimit, describeNotExecuted } from '../render/exit-words.ts'
import { renderTransfers } from '../render/transfers.ts'
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
    ...namingOptions,
    { name: 'rm', help: 'Remove the container at its end, which without -d is always done' },
    { ...environmentOption, help: 'Environment variable; without a value it comes from the environment' },
    environmentFileOption,
    { name: 'user', short: 'u', value: 'USER[:GROUP]', help: 'User, by name or id' },
    { name: 'workdir', short: 'w', value: 'DIR', help: 'Working directory' },
    { name: 'entrypoint', value: 'COMMAND', help: 'Replaces the ENTRYPOINT of the image' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Platform of the image; one that is here for another is pulled anew' },
    { name: 'pull', value: 'MODE', help: 'When to pull the image: missing (default), always or never' },
    { name: 'quiet', short: 'q', help: 'Do not show how the image is pulled' },
    ...confinementOptions,
    ...runOptions,
  ],
  foreignOptions: foreignOptions.run,
  examples: ['tsbuild run -it debian:bookworm bash', 'tsbuild run -d --name web -p 8080:80 app:1', 'tsbuild run --memory 256m --network none app:1'],
  findNamespace: ({ options }, app) => findJoined(options, new ContainerRecords(defaultRoot(app.env))),
  run,
}

/** The kernel lets nobody join a namespace of another user namespace than their own and those below. */
function findJoined(options: OptionValues, records: ContainerRecords): number | undefined {
  const [name] = ['network', 'pid', 'ipc', 'uts'].flatMap((kind) => /^container:(.+)$/u.exec(options.text(kind) ?? '')?.[1] ?? [])
  return name === undefined ? undefined : records.getRunning(name).running.initPid
}

async function run({ operands: [name = '', ...command], options: given }: CommandInput, app: App): Promise<number> {
  const options = await withDefaults(given, app.env)
  checkStdio(options)
  const naming = parseNaming(options)
  const hasTerminal = options.has('tty')
  const settings = runSettings({ command, options }, app.env)
  if ((options.has('detach') || naming !== undefined) && settings.confinement.executor.kind !== 'helper') throw new UsageError('a container that others find, by -d or --name, needs the built-in runtime and namespaces')
  warnOfIsolation(settings.confinement, app)
  await using engine = await app.openEngine()
  const image = await findOrPull(engine, { name, options }, app)
  const named: Named = { name: undefined, labels: [], stopSignal: undefined, cidfile: undefined, ...naming, image, imageName: name, settings, isRemovedAtEnd: options.has('rm') || !options.has('detach') }
  if (options.has('detach')) return await startDetached(named, app)
  using record = naming === undefined ? undefined : holdRecord(new ContainerRecords(defaultRoot(app.env)), named)
  const stdio = { ...containerStdio(options), ...(record === undefined ? {} : { onStarted: record.onStarted }) }
  const place = { stdio, ...(record === undefined ? {} : { onSpec: record.onSpec }) }
  const exit = await withRawTerminal(hasTerminal, () => runImage(engine, { ...settings, image, ...place }, { signal: neverAborted, emit: (event) => { if (event.type === 'warning-raised') app.note(`warning: ${event.message}`) } }))
  for (const line of explain(exit)) app.note(line)
  return exit.exitCode
}

/** @throws {UsageError} */
function checkStdio(options: OptionValues): void {
  const isDetached = options.has('detach')
  if (isDetached && options.has('interactive')) throw new UsageError('option -d leaves the container alone, so it has no standard input')
  if (!isDetached && options.has('tty') && !process.stdin.isTTY) throw new UsageError('option -t needs a terminal on standard input')
}

/** The container gets our signals and decides when to end, as with docker run. */
const neverAborted = new AbortController().signal

function containerStdio(options: OptionValues): ContainerStdio {
  if (options.has('tty')) return { kind: 'terminal', input: 0, output: 1, signals: process }
  return { kind: 'descriptors', fds: [options.has('interactive') ? 0 : -1, 1, 2], signals: process }
}

async function findOrPull(engine: Engine, { name, options }: { name: string; options: OptionValues }, app: App): Promise<StoredImage> {
  const mode = parseChoice(options, 'pull', ['missing', 'always', 'never']) ?? 'missing'
  const find = mode === 'never' ? findImage : findIfThere
  const found = mode === 'always' ? undefined : find(engine.store, name)
  const asked = askedPlatform(options)
  const others = found === undefined || asked === undefined ? [] : await otherPlatforms(engine.store, found, asked)
  if (found !== undefined && others.length === 0) return found
  const platforms = others.map(formatPlatform).join(' and ')
  if (found !== undefined && (mode === 'never' || !found.names.includes(canonicalName(name)))) throw new ImageUnavailable(name, `it is for ${platforms}`)
  const isQuiet = options.has('quiet')
  if (mode === 'missing' && !isQuiet) app.note(found === undefined ? `Unable to find image '${name}' locally` : `The image '${name}' found locally is for ${platforms}`)
  return pullImage(engine, { name: canonicalName(name), platform: platformOption(options) }, { signal: app.signal, emit: renderTransfers(app, isQuiet) })
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
    env: givenVariables({ files: options.texts('env-file'), entries: options.texts('env') }, env),
    platform: askedPlatform(options),
    user: options.text('user'),
    workdir: options.text('workdir'),
    ...parseRunOptions(options, findInit),
    confinement: withRunPrivilege(parseRunConfinement(options, env, findInit), options),
    hasTerminal: options.has('tty'),
  }
}

function explain({ cause, notExecuted }: ContainerExit): string[] {
  return [...(notExecuted === undefined ? [] : [`error: ${describeNotExecuted(notExecuted)}`]), ...(cause === undefined ? [] : [`error: ${describeLimit(cause)}`])]
}
