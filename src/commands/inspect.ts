import { createTask } from '../../core/task.ts'
import type { Engine } from '../../builder/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec, OptionValues } from '../command.ts'
import { describeContainer } from '../describe-container.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { platformOption } from '../option-values.ts'
import { expandTemplate } from '../render/template.ts'

export const inspectCommand: CommandSpec = {
  name: 'inspect',
  operands: 'CONTAINER|IMAGE...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Show detached containers and images in detail, as JSON: state; config, layers, and the directories a container would mount',
  options: [
    { name: 'format', short: 'f', value: 'TEMPLATE', help: 'Print of each what the template asks for: {{.Field.Field}}, {{json .Field}}, {{index .Field KEY}}' },
    { name: 'type', value: 'container|image', help: 'Look for one kind only; default a container first, then an image' },
    { name: 'remote', help: 'Show what their registries have, without pulling it' },
    { name: 'raw', help: 'With --remote: the manifest or index byte for byte' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'With --remote: which image of several platforms' },
  ],
  foreignOptions: foreignOptions.inspect,
  examples: ['tsbuild inspect app:1', "tsbuild inspect -f '{{json .Config.Env}}' app:1", "tsbuild inspect -f '{{.State.ExitCode}}' web", 'tsbuild inspect --remote debian:bookworm'],
  run: inspect,
}

async function inspect({ operands, options }: CommandInput, app: App): Promise<number> {
  checkOptions(options)
  const { defaultRoot, fetchRawManifest, inspectRemote } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const task = createTask(app)
  if (options.has('raw')) {
    for (const name of operands) process.stdout.write(await fetchRawManifest(engine, name, task))
    return 0
  }
  const format = options.text('format')
  const wanted = { type: options.text('type'), root: defaultRoot(app.env), forTemplate: format !== undefined }
  const shown: unknown[] = []
  for (const name of operands) {
    if (options.has('remote')) shown.push(await inspectRemote(engine, { name, platform: platformOption(options) }, task))
    else shown.push(await inspectLocal(engine, name, wanted))
  }
  if (format === undefined) app.print(JSON.stringify(shown, undefined, 2))
  else for (const value of shown) app.print(expandTemplate(format, value))
  return 0
}

/** @throws {UsageError} */
function checkOptions(options: OptionValues): void {
  const isRemote = options.has('remote')
  if (!isRemote && (options.has('raw') || options.has('platform'))) throw new UsageError('--raw and --platform are for --remote')
  for (const name of ['format', 'platform']) if (options.has('raw') && options.has(name)) throw new UsageError(`option --raw prints what is there byte for byte, which --${name} cannot change`)
  const type = options.text('type')
  if (type !== undefined && (!types.includes(type) || isRemote)) throw new UsageError(`option --type takes container or image, without --remote, not "${type}"`)
}

const types: readonly string[] = ['container', 'image']

interface Wanted {
  readonly type: string | undefined
  /** Where containers have their records. */
  readonly root: string
  readonly forTemplate: boolean
}

/** As Docker looks: a container of the name comes first. */
async function inspectLocal({ store }: Engine, name: string, { type, root, forTemplate }: Wanted): Promise<unknown> {
  const { findImage, inspectImage } = await import('../../builder/index.ts')
  const { ContainerNotFound, ContainerRecords } = await import('../../runtime/index.ts')
  try {
    if (type !== 'image') return describeContainer(new ContainerRecords(root).get(name))
  } catch (error) {
    if (type === 'container' || !(error instanceof ContainerNotFound)) throw error
  }
  const shown = await inspectImage(store, findImage(store, name))
  return forTemplate ? { ...shown, Config: { ...emptyConfig, ...shown.Config } } : shown
}

/** What a template may ask for although the image says nothing of it. */
const emptyConfig = { User: '', ExposedPorts: {}, Env: [], Entrypoint: [], Cmd: [], Volumes: {}, WorkingDir: '', Labels: {}, OnBuild: [], StopSignal: '', Shell: [] }
