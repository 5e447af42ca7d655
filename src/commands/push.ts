import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { compressionOptions, parseCompression } from '../compression-options.ts'
import { foreignOptions } from '../foreign-options.ts'
import { parsePositive, parseSize } from '../option-values.ts'
import { renderTransfers } from '../render/transfers.ts'

export const pushCommand: CommandSpec = {
  name: 'push',
  operands: 'NAME',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Upload an image to the registry its name says',
  options: [
    { name: 'quiet', short: 'q', help: 'Print only the digest' },
    { name: 'max-concurrent-uploads', value: 'N', help: 'Layers at a time (default 5)' },
    ...compressionOptions,
    { name: 'chunk-size', value: 'BYTES', help: 'Most bytes of a blob in one request (default 64m); fewer where a proxy refuses so many' },
  ],
  foreignOptions: foreignOptions.push,
  examples: ['tsbuild push registry.example/app:1', 'tsbuild push --compression zstd registry.example/app:1'],
  run: push,
}

async function push({ operands: [name = ''], options }: CommandInput, app: App): Promise<number> {
  const { pushImage } = await import('../../builder/index.ts')
  const blobs = parseCompression(options)
  const uploadChunkBytes = parseSize(options, 'chunk-size')
  await using engine = await app.openEngine(uploadChunkBytes === undefined ? {} : { uploadChunkBytes })
  const maxConcurrentUploads = parsePositive(options, 'max-concurrent-uploads')
  const manifest = await pushImage(engine, { name, blobs, ...(maxConcurrentUploads === undefined ? {} : { maxConcurrentUploads }) }, { signal: app.signal, emit: renderTransfers(app, options.has('quiet')) })
  app.print(options.has('quiet') ? manifest.digest : `${name}: digest: ${manifest.digest} size: ${manifest.size}`)
  return 0
}
