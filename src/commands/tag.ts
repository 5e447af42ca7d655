import type { CommandSpec } from '../command.ts'

export const tagCommand: CommandSpec = {
  name: 'tag',
  operands: 'IMAGE NAME',
  minOperands: 2,
  maxOperands: 2,
  summary: 'Give an image another name',
  options: [],
  examples: ['tsbuild tag app:1 registry.example/app:1'],
  run: async ({ operands: [image = '', name = ''] }, app) => {
    const { canonicalName, findImage } = await import('../../builder/index.ts')
    await using engine = await app.openEngine()
    const { manifest, id } = findImage(engine.store, image)
    engine.store.images.put(manifest, id, [canonicalName(name)])
    return 0
  },
}
