import { createReadStream } from 'node:fs'
import { createTask } from '../../core/task.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { askedPlatform } from '../option-values.ts'

export const loadCommand: CommandSpec = {
  name: 'load',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: 'Read images from an archive that docker, podman, skopeo or tsbuild wrote',
  options: [
    { name: 'input', short: 'i', value: 'FILE', help: 'File to read instead of standard input' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Which image of several platforms (default this machine\'s); one that is for another only is refused' },
    { name: 'quiet', short: 'q', help: 'Print only the ids' },
  ],
  examples: ['tsbuild load -i app.tar', 'docker save app:1 | tsbuild load'],
  run: load,
}

async function load({ options }: CommandInput, app: App): Promise<number> {
  const input = options.text('input')
  if (input === undefined && process.stdin.isTTY) throw new UsageError('an archive is not typed: give --input, or redirect standard input')
  const { loadImages } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const archive = input === undefined ? process.stdin : createReadStream(input, { highWaterMark: 1024 * 1024 })
  const images = await loadImages(engine, { archive, platform: askedPlatform(options) }, createTask(app))
  for (const { id, names } of images) {
    if (options.has('quiet')) app.print(id)
    else for (const line of names.length === 0 ? [`Loaded image ID: ${id}`] : names.map((name) => `Loaded image: ${name}`)) app.print(line)
  }
  return 0
}
