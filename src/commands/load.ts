import { createReadStream, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import type { Task } from '../../core/task.ts'
import { createTask } from '../../core/task.ts'
import { packFolder } from '../../storage/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { askedPlatform } from '../option-values.ts'

export const loadCommand: CommandSpec = {
  name: 'load',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: 'Read images from an archive that docker, podman, skopeo or tsbuild wrote, compressed or not, or from a folder with an OCI layout',
  options: [
    { name: 'input', short: 'i', value: 'PATH', help: 'File or folder to read instead of standard input' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Which image of several platforms (default this machine\'s); one that is for another only is refused' },
    { name: 'quiet', short: 'q', help: 'Print only the ids' },
  ],
  examples: ['tsbuild load -i app.tar', 'docker save app:1 | tsbuild load'],
  run: load,
}

/** A folder is read as the tar of it would be. */
function openArchive(input: string | undefined, task: Task): Readable {
  if (input === undefined) return process.stdin
  if (statSync(input).isDirectory()) return Readable.from(packFolder(resolve(input), task), { objectMode: false })
  return createReadStream(input, { highWaterMark: 1024 * 1024 })
}

async function load({ options }: CommandInput, app: App): Promise<number> {
  const input = options.text('input')
  if (input === undefined && process.stdin.isTTY) throw new UsageError('an archive is not typed: give --input, or redirect standard input')
  const { loadImages } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const task = createTask(app)
  const images = await loadImages(engine, { archive: openArchive(input, task), platform: askedPlatform(options) }, task)
  for (const { id, names } of images) {
    if (options.has('quiet')) app.print(id)
    else for (const line of names.length === 0 ? [`Loaded image ID: ${id}`] : names.map((name) => `Loaded image: ${name}`)) app.print(line)
  }
  return 0
}
