import { resolve } from 'node:path'
import { createTask } from '../../core/task.ts'
import type { RootfsRequest } from '../../builder/index.ts'
import { defaultRoot, ImageNotFound } from '../../builder/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { askedPlatform } from '../option-values.ts'

export const exportCommand: CommandSpec = {
  name: 'export',
  operands: 'IMAGE',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Write the root filesystem of an image as a tar, or into a folder',
  options: [
    { name: 'output', short: 'o', value: 'PATH', help: 'File to write, or folder with a slash at its end (default a tar to standard output)' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Which image of several platforms (default this machine\'s); one that is for another only is refused' },
  ],
  examples: ['tsbuild export -o rootfs.tar app:1', 'tsbuild export -o rootfs/ app:1', 'tsbuild export app:1 | tar -t'],
  run: exportImage,
}

async function exportImage({ operands: [image = ''], options }: CommandInput, app: App): Promise<number> {
  const to = destination(options.text('output'))
  const { exportRootfs } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  try {
    await exportRootfs(engine, { image, platform: askedPlatform(options), to }, createTask(app))
  } catch (error) {
    if (error instanceof ImageNotFound && isContainer(image, app)) throw new UsageError(`"${image}" is a container, and "tsbuild export" writes images: what a container changed is gone with its end; while it runs, "tsbuild exec ${image} tar -c FOLDER" reads of it`, 'export')
    throw error
  }
  return 0
}

/** @throws {UsageError} */
function destination(output: string | undefined): RootfsRequest['to'] {
  if (output === '') throw new UsageError('option --output takes a file, or a folder with a slash at its end')
  if (output !== undefined && output !== '-') return output.endsWith('/') ? { kind: 'folder', path: resolve(output) } : { kind: 'file', path: output }
  if (process.stdout.isTTY) throw new UsageError('a root filesystem is not for a terminal: give --output, or redirect standard output')
  return { kind: 'stream', stream: process.stdout }
}

function isContainer(name: string, app: App): boolean {
  return new ContainerRecords(defaultRoot(app.env)).list().some((container) => container.name === name || container.id.startsWith(name))
}
