import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { formatAge, formatBytes, formatTable, printable } from '../render/format.ts'

const shownWidth = 60

export const historyCommand: CommandSpec = {
  name: 'history',
  operands: 'IMAGE',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Show the steps an image was made by, the newest first, with what each layer takes',
  options: [
    { name: 'no-trunc', help: 'Do not shorten the steps' },
    { name: 'json', help: 'Print JSON' },
  ],
  examples: ['tsbuild history app:1'],
  run: showHistory,
}

async function showHistory({ operands: [name = ''], options }: CommandInput, app: App): Promise<number> {
  const { findImage, imageSteps } = await import('../../builder/index.ts')
  await using engine = await app.openEngine()
  const steps = await imageSteps(engine.store, findImage(engine.store, name))
  const newestFirst = [...steps].reverse()
  if (options.has('json')) {
    app.print(JSON.stringify(newestFirst))
    return 0
  }
  const now = Date.now()
  app.print(formatTable([
    ['CREATED', 'CREATED BY', 'SIZE', 'INODES', 'COMMENT'],
    ...newestFirst.map((step) => [
      step.created === undefined ? 'N/A' : formatAge(now - Date.parse(step.created)),
      shorten(printable(step.createdBy), options.has('no-trunc')),
      formatBytes(step.sizeBytes), String(step.inodes), step.comment,
    ]),
  ]))
  return 0
}

function shorten(text: string, isWhole: boolean): string {
  const line = text.replaceAll(/\s+/gu, ' ')
  return isWhole || line.length <= shownWidth ? line : `${line.slice(0, shownWidth - 1)}…`
}
