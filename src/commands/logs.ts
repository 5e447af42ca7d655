import { defaultRoot } from '../../builder/index.ts'
import { ContainerRecords } from '../../runtime/index.ts'
import type { CommandSpec, OptionValues } from '../command.ts'
import type { LogEntry } from '../container-log.ts'
import { readLog, splitLines } from '../container-log.ts'
import { UsageError } from '../errors.ts'
import { foreignOptions } from '../foreign-options.ts'
import { parseDuration } from '../option-values.ts'

export const logsCommand: CommandSpec = {
  name: 'logs',
  operands: 'CONTAINER',
  minOperands: 1,
  maxOperands: 1,
  summary: 'Print what a detached container has written',
  options: [
    { name: 'follow', short: 'f', help: 'Go on until it ends' },
    { name: 'tail', short: 'n', value: 'LINES', help: 'Begin with the last lines only, or all' },
    { name: 'timestamps', short: 't', help: 'Say of each line when it was written' },
    { name: 'since', value: 'TIME', help: 'Only what was written since: 2026-01-31T12:00:00Z, seconds since 1970, or 10m for ten minutes ago' },
    { name: 'until', value: 'TIME', help: 'Only what was written until then' },
  ],
  foreignOptions: foreignOptions.logs,
  examples: ['tsbuild logs -f -n 100 web', 'tsbuild logs -t --since 10m web'],
  run: async ({ operands: [name = ''], options }, app) => {
    const lines = options.text('tail') ?? 'all'
    if (!/^(?:all|-1|\d{1,9})$/u.test(lines)) throw new UsageError(`option --tail takes a number of lines or all, not "${lines}"`)
    const [sinceMs, untilMs] = [parseTime(options, 'since'), parseTime(options, 'until')]
    const records = new ContainerRecords(defaultRoot(app.env))
    const container = records.get(name)
    if (container.isForeground === true) throw new UsageError(`container "${container.name}" runs in the foreground: what it writes is where "tsbuild run" was called, and kept only with -d`)
    const isAlive = (): boolean => options.has('follow') && records.list().some(({ id, state }) => id === container.id && (state.kind === 'running' || state.kind === 'starting'))
    const write = options.has('timestamps') ? withTimes() : writeEntry
    for await (const entry of readLog(records.logFile(container), { isFollowed: isAlive, lastLines: /^\d/u.test(lines) ? Number(lines) : Infinity, sinceMs, untilMs })) {
      if (app.signal.aborted) break
      write(entry)
    }
    return 0
  },
}

/** @returns ms since 1970 @throws {UsageError} */
function parseTime(options: OptionValues, name: string): number | undefined {
  const text = options.text(name)
  if (text === undefined) return undefined
  if (/^\d{1,12}(?:\.\d+)?$/u.test(text)) return Number(text) * 1000
  const at = /^\d{4}-/u.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(at)) return at
  return Date.now() - (parseDuration(options, name) ?? 0)
}

function writeEntry({ stream, bytes }: LogEntry): void {
  process[stream].write(bytes)
}

/** What follows a line that had no end yet belongs to it. */
function withTimes(): (entry: LogEntry) => void {
  const unfinished = new Set<LogEntry['stream']>()
  return (entry) => {
    for (const { stream, bytes, atMs } of splitLines(entry)) {
      process[stream].write(unfinished.has(stream) ? bytes : Buffer.concat([Buffer.from(`${new Date(atMs).toISOString()} `), bytes]))
      if (bytes.at(-1) === 0x0a) unfinished.delete(stream)
      else unfinished.add(stream)
    }
  }
}
