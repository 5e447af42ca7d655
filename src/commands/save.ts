import { createTask } from '../../core/task.ts'
import type { ArchiveFormat } from '../../builder/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { parseChoice } from '../option-values.ts'

export const saveCommand: CommandSpec = {
  name: 'save',
  operands: 'IMAGE...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Write images to an archive, or to standard output',
  options: [
    { name: 'output', short: 'o', value: 'FILE', help: 'File, or folder for oci-dir, to write' },
    { name: 'format', value: 'FORMAT', help: 'oci-archive (default, which docker load reads as well), docker-archive or oci-dir' },
  ],
  foreignOptions: foreignOptions.save,
  examples: ['tsbuild save -o app.tar app:1', 'tsbuild save app:1 | docker load'],
  run: save,
}

async function save({ operands, options }: CommandInput, app: App): Promise<number> {
  const format: ArchiveFormat = parseChoice(options, 'format', ['oci-archive', 'docker-archive', 'oci-dir']) ?? 'oci-archive'
  const output = options.text('output')
  if (output === undefined && format === 'oci-dir') throw new UsageError('format oci-dir needs --output')
  if (output === undefined && process.stdout.isTTY) throw new UsageError('an archive is not for a terminal: give --output, or redirect standard output')
  const { createFileSink, createFolderSink, createStreamSink, saveImages, writeThere } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const sink = output === undefined ? createStreamSink(process.stdout) : await (format === 'oci-dir' ? createFolderSink(output) : createFileSink(output))
  const work = (): Promise<void> => saveImages(engine, { images: operands, format, sink }, createTask(app))
  await (output === undefined ? work() : writeThere(output, work))
  return 0
}
