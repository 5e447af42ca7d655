import type { CommandSpec } from '../command.ts'

export const inspectCommand: CommandSpec = {
  name: 'inspect',
  operands: 'IMAGE...',
  minOperands: 1,
  maxOperands: Infinity,
  summary: 'Show images in detail, as JSON: config, layers, and the directories a container would mount',
  options: [],
  examples: ['tsbuild inspect app:1'],
  run: async ({ operands }, app) => {
    const { findImage, inspectImage } = await import('../../builder/index.ts')
    await using engine = await app.openEngine()
    const shown: unknown[] = []
    for (const operand of operands) shown.push(await inspectImage(engine.store, findImage(engine.store, operand)))
    app.print(JSON.stringify(shown, undefined, 2))
    return 0
  },
}
