import { createReadStream } from 'node:fs'
import { createTask } from '../../core/task.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { platformOption } from '../option-values.ts'

export const importCommand: CommandSpec = {
  name: 'import',
  operands: 'FILE|- [NAME]',
  minOperands: 1,
  maxOperands: 2,
  summary: 'Make an image of one layer from a tar of a root filesystem, plain or compressed',
  options: [
    { name: 'change', short: 'c', value: 'INSTRUCTION', isRepeatable: true, help: 'Dockerfile instruction that sets the config' },
    { name: 'message', short: 'm', value: 'TEXT', help: 'Comment in the history' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Platform of the image' },
  ],
  examples: [`tsbuild import -c 'CMD ["bash"]' rootfs.tar debian:bookworm`],
  run: importImage,
}

async function importImage({ operands: [file = '', name], options }: CommandInput, app: App): Promise<number> {
  const { importRootfs } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const image = await importRootfs(engine, {
    tar: file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 1024 * 1024 }),
    name,
    changes: options.texts('change'),
    platform: platformOption(options),
    message: options.text('message'),
  }, createTask(app))
  app.print(image.id)
  return 0
}
