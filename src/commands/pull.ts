import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { foreignOptions } from '../foreign-options.ts'
import { parsePositive, platformOption } from '../option-values.ts'
import { renderTransfers } from '../render/transfers.ts'

export const pullCommand: CommandSpec = {
  name: 'pull',
  operands: 'NAME',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Download an image from a registry',
  options: [
    { name: 'quiet', short: 'q', help: 'Print only the name' },
    { name: 'platform', value: 'OS/ARCH[/VARIANT]', help: 'Which image of several platforms' },
    { name: 'max-concurrent-downloads', value: 'N', help: 'Layers at a time (default 3)' },
  ],
  foreignOptions: foreignOptions.pull,
  examples: ['tsbuild pull debian:bookworm', 'tsbuild pull --platform linux/arm64 registry.example/app:1'],
  run: pull,
}

async function pull({ operands: [name = ''], options }: CommandInput, app: App): Promise<number> {
  const { pullImage } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const maxConcurrentDownloads = parsePositive(options, 'max-concurrent-downloads')
  const image = await pullImage(engine, {
    name,
    platform: platformOption(options),
    ...(maxConcurrentDownloads === undefined ? {} : { maxConcurrentDownloads }),
  }, { signal: app.signal, emit: renderTransfers(app, options.has('quiet')) })
  if (!options.has('quiet')) {
    for (const { host, limit, remaining, windowSeconds } of (await engine.registries()).client.catalog.rateLimits()) {
      app.note(`${host}: ${remaining} of ${limit} pulls left${windowSeconds === undefined ? '' : `, counted over ${Math.round(windowSeconds / 360) / 10} h`}`)
    }
  }
  app.print(options.has('quiet') ? image.pulledName : `${image.id} ${image.names.join(' ')}`)
  return 0
}
