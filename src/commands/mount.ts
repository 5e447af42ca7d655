import { resolve } from 'node:path'
import { createTask } from '../../core/task.ts'
import { mountImage } from '../../storage/index.ts'
import type { CommandSpec } from '../command.ts'

export const mountCommand: CommandSpec = {
  name: 'mount',
  operands: 'IMAGE DIRECTORY',
  minOperands: 2,
  maxOperands: 2,
  summary: 'Show an image read-only at a directory, until umount; its layers must be kept as EROFS images (see "store")',
  options: [],
  examples: ['tsbuild mount debian:13 /mnt', 'umount /mnt'],
  run: async ({ operands: [name = '', directory = ''] }, app) => {
    const { findImage, topLayer } = await import('../../builder/index.ts')
    await using engine = await app.openEngine()
    const top = await topLayer(engine.store, findImage(engine.store, name))
    await mountImage(engine.store, { top, directory: resolve(directory) }, createTask(app))
    return 0
  },
}
