import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { compressionOptions, parseCompression } from '../compression-options.ts'
import { copyOptions, parseCopy } from '../copy-options.ts'
import { renderTransfers } from '../render/transfers.ts'

export const copyCommand: CommandSpec = {
  name: 'copy',
  operands: 'SOURCE DESTINATION',
  minOperands: 2,
  maxOperands: 2,
  summary: 'Copy an image as it is between docker://NAME, tsbuild:NAME, oci:FOLDER[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] and dir:FOLDER',
  options: [
    ...copyOptions,
    { name: 'quiet', short: 'q', help: 'Print only the digest' },
    ...compressionOptions.map((option) => ({ ...option, help: `From tsbuild: ${option.help}` })),
  ],
  examples: ['tsbuild copy --all docker://debian:bookworm docker://registry.example/debian:bookworm', 'tsbuild copy tsbuild:app:1 oci:images:app'],
  run: copy,
}

async function copy({ operands: [from = '', to = ''], options }: CommandInput, app: App): Promise<number> {
  const { copyImage, parseLocation } = await import('../../builder/index.ts')
  const request = { from: parseLocation(from), to: parseLocation(to), ...parseCopy(options), blobs: parseCompression(options) }
  await using engine = await app.openEngine()
  const { digest, size } = await copyImage(engine, request, { signal: app.signal, emit: renderTransfers(app, options.has('quiet')) })
  app.print(options.has('quiet') ? digest : `${to}: digest: ${digest} size: ${size}`)
  return 0
}
