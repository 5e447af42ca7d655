import type { App } from '../app.ts'
import type { CommandInput, CommandSpec } from '../command.ts'
import { UsageError } from '../errors.ts'
import { formatAge, formatBytes, formatTable, printable } from '../render/format.ts'

const shownWidth = 60

export const historyCommand: CommandSpec = {
  name: 'history',
  operands: 'IMAGE | builds | show BUILD | logs BUILD [STEP] | rerun BUILD',
  minOperands: 1,
  maxOperands: 3,
  summary: 'Show the steps an image was made by, the newest first, with what each layer takes; or what is kept of builds: list them, show one, its log or that of a step, run it again',
  options: [
    { name: 'no-trunc', help: 'Do not shorten the steps' },
    { name: 'json', help: 'Print JSON' },
  ],
  examples: ['tsbuild history app:1', 'tsbuild history builds', 'tsbuild history logs latest', 'tsbuild history rerun 4f2a'],
  run: runHistory,
}

async function runHistory(input: CommandInput, app: App): Promise<number> {
  const [first = '', build, step] = input.operands
  if (first === 'builds' && build === undefined) return (await import('./build-records.ts')).listRecords(input, app)
  if (build === undefined) return showHistory(input, app)
  const records = await import('./build-records.ts')
  if (first === 'logs') return records.showLogs(build, step, app)
  if (step !== undefined) throw new UsageError(`"tsbuild history ${first}" takes one build, not also "${step}"`, 'history')
  if (first === 'show') return records.showRecord(build, input, app)
  if (first === 'rerun') return records.rerunBuild(build, app)
  throw new UsageError(`"tsbuild history" takes an image, or builds, show, logs or rerun, not "${first} ${build}"`, 'history')
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
