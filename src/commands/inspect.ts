import { createTask } from '../../core/task.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { platformOption } from '../option-values.ts'

export const inspectCommand: CommandSpec = {
  name: 'inspect',
  operands: 'IMAGE...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Show images in detail, as JSON: config, layers, and the directories a container would mount',
  options: [
    { name: 'remote', help: 'Show what their registries have, without pulling it' },
    { name: 'raw', help: 'With --remote: the manifest or index byte for byte' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'With --remote: which image of several platforms' },
  ],
  examples: ['tsbuild inspect app:1', 'tsbuild inspect --remote debian:bookworm'],
  run: inspect,
}

async function inspect({ operands, options }: CommandInput, app: App): Promise<number> {
  if (!options.has('remote') && (options.has('raw') || options.has('platform'))) throw new UsageError('--raw and --platform are for --remote')
  const { findImage, fetchRawManifest, inspectImage, inspectRemote } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const task = createTask(app)
  if (options.has('raw')) {
    for (const name of operands) process.stdout.write(await fetchRawManifest(engine, name, task))
    return 0
  }
  const shown: unknown[] = []
  for (const name of operands) {
    shown.push(options.has('remote')
      ? await inspectRemote(engine, { name, platform: platformOption(options) }, task)
      : await inspectImage(engine.store, findImage(engine.store, name)))
  }
  app.print(JSON.stringify(shown, undefined, 2))
  return 0
}
