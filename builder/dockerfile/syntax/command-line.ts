import type {
  CmdInstruction, CommandLine, EntrypointInstruction, HealthcheckInstruction, RunInstruction, ShellInstruction, Word,
} from '../instruction.ts'
import { findNearest } from '../../../core/nearest.ts'
import { parseDuration } from '../values/duration.ts'
import { readMountFrom } from '../values/run-mount.ts'
import type { Flags } from './flags.ts'
import { readJsonForm } from './json-form.ts'
import type { Span } from './logical-line.ts'
import { skipSpace } from './space.ts'
import type { Statement } from './statement.ts'
import { argumentText, keywordOf, refuse, refuseWord, statementFlags } from './statement.ts'
import { splitAtBlanks } from './words.ts'

export function parseRun(statement: Statement): RunInstruction {
  const flags = statementFlags(statement, { text: ['network', 'security'], list: ['mount', 'device'] })
  const command = readCommand(statement)
  if (command.form === 'exec' && command.args.length === 0) {
    refuse(statement, { rule: 'argument-count', problem: 'RUN [] has no command', remedy: 'name a command, or remove the line' })
  }
  const mounts = flags.list('mount')
  for (const { text, range } of mounts) readMountFrom(text, { source: statement.line.source, range })
  return {
    kind: 'RUN', ...statement.base, command, mounts,
    network: oneOf(statement, flags.text('network'), ['default', 'none', 'host']),
    security: oneOf(statement, flags.text('security'), ['sandbox', 'insecure']),
    devices: flags.list('device'),
  }
}

export function parseCmd(statement: Statement): CmdInstruction {
  statementFlags(statement)
  return { kind: 'CMD', ...statement.base, command: readCommand(statement) }
}

export function parseEntrypoint(statement: Statement): EntrypointInstruction {
  statementFlags(statement)
  return { kind: 'ENTRYPOINT', ...statement.base, command: readCommand(statement) }
}

export function parseShell(statement: Statement): ShellInstruction {
  statementFlags(statement)
  const args = readJsonForm(statement)
  if (args === undefined || args.length === 0) {
    const problem = args === undefined && argumentText(statement) !== '' ? 'SHELL takes the JSON form only' : 'SHELL names no shell'
    refuse(statement, { rule: 'json-form', problem, remedy: 'write it as SHELL ["/bin/sh", "-c"]' })
  }
  return { kind: 'SHELL', ...statement.base, args: args.map(({ text }) => text) }
}

export function parseHealthcheck(statement: Statement): HealthcheckInstruction {
  const flags = statementFlags(statement, { text: ['interval', 'timeout', 'start-period', 'start-interval', 'retries'] })
  const { line, args } = statement
  const type = splitAtBlanks(line.text, args.start, args.end)[0]
  if (type === undefined) refuse(statement, { rule: 'healthcheck', problem: 'HEALTHCHECK names no check', remedy: 'write HEALTHCHECK CMD command, or HEALTHCHECK NONE' })
  const keyword = line.text.slice(type.start, type.end).toUpperCase()
  const rest: Span = { start: skipSpace(line.text, type.end, args.end), end: args.end }
  const base = { kind: 'HEALTHCHECK', ...statement.base } as const
  if (keyword === 'NONE') {
    if (rest.start < rest.end) refuse(statement, { rule: 'healthcheck', problem: 'HEALTHCHECK NONE takes no arguments', remedy: 'remove them' }, rest)
    return { ...base, command: undefined, intervalNs: undefined, timeoutNs: undefined, startPeriodNs: undefined, startIntervalNs: undefined, retries: undefined }
  }
  if (keyword !== 'CMD') {
    refuse(statement, { rule: 'healthcheck', problem: `HEALTHCHECK has no type "${keyword}"`, remedy: 'the types are CMD and NONE', suggestion: findNearest(keyword, ['CMD', 'NONE']) }, type)
  }
  return { ...base, command: readCheck(statement, rest), ...readTimes(statement, flags) }
}

function readCheck(statement: Statement, span: Span): CommandLine {
  const command = readCommand(statement, span)
  const isEmpty = command.form === 'exec' ? command.args.length === 0 : command.line === ''
  if (isEmpty) refuse(statement, { rule: 'healthcheck', problem: 'HEALTHCHECK CMD has no command', remedy: 'name a command, or write HEALTHCHECK NONE' })
  return command
}

function readTimes(statement: Statement, flags: Flags): Pick<HealthcheckInstruction, 'intervalNs' | 'timeoutNs' | 'startPeriodNs' | 'startIntervalNs' | 'retries'> {
  const duration = (name: string): number | undefined => {
    const word = flags.text(name)
    if (word === undefined) return undefined
    const nanoseconds = parseDuration(word.text, { source: statement.line.source, range: word.range })
    if (nanoseconds === 0 || nanoseconds >= 1_000_000) return nanoseconds
    return refuseWord(statement, word, { rule: 'duration', problem: `--${name} is ${word.text}, want at least 1ms, or 0 for the default` })
  }
  return {
    intervalNs: duration('interval'),
    timeoutNs: duration('timeout'),
    startPeriodNs: duration('start-period'),
    startIntervalNs: duration('start-interval'),
    retries: readRetries(statement, flags.text('retries')),
  }
}

function readRetries(statement: Statement, word: Word | undefined): number | undefined {
  if (word === undefined) return undefined
  const retries = /^[+]?\d+$/u.test(word.text) ? Number(word.text) : -1
  if (retries >= 0 && retries < 2 ** 31) return retries
  return refuseWord(statement, word, { rule: 'number', problem: `--retries is ${JSON.stringify(word.text)}, want a whole number from 0 on` })
}

/** JSON that does not parse is shell form. */
function readCommand(statement: Statement, span: Span = statement.args): CommandLine {
  const args = readJsonForm(statement, span)
  if (args !== undefined) return { form: 'exec', args: args.map(({ text }) => text) }
  return { form: 'shell', line: statement.line.text.slice(span.start, span.end), heredocs: statement.heredocs }
}

function oneOf(statement: Statement, word: Word | undefined, allowed: readonly string[]): Word | undefined {
  if (word === undefined || allowed.includes(word.text)) return word
  const flag = allowed.includes('none') ? 'network' : 'security'
  return refuseWord(statement, word, {
    rule: 'flag',
    problem: `${keywordOf(statement)} --${flag} is ${JSON.stringify(word.text)}, want ${allowed.join(', ')}`,
    suggestion: findNearest(word.text, allowed),
  })
}
