import { gc } from '../../storage/index.ts'
import type { CommandSpec } from '../command.ts'
import { formatBytes } from '../render/format.ts'

export const gcCommand: CommandSpec = {
  name: 'gc',
  operands: '',
  minOperands: 0,
  maxOperands: 0,
  summary: 'Remove blobs and layers that no image, cache entry or running process needs',
  options: [
    { name: 'dry-run', help: 'Only say what would be freed' },
    { name: 'json', help: 'Print JSON' },
  ],
  examples: ['tsbuild gc --dry-run'],
  run: async ({ options }, app) => {
    await using engine = await app.openEngine()
    const report = await gc(engine.store, { signal: app.signal, emit: () => undefined }, { dryRun: options.has('dry-run') })
    const { layers, blobs, bytes, inodes } = report
    app.print(options.has('json') ? JSON.stringify(report) : `${options.has('dry-run') ? 'Would free' : 'Freed'} ${formatBytes(bytes)} and ${inodes} inodes: ${layers} layers, ${blobs} blobs`)
    return 0
  },
}
