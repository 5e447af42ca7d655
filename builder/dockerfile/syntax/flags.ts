import type { Place } from '../errors.ts'
import { DockerfileError, quote } from '../errors.ts'
import type { Word } from '../instruction.ts'
import { findNearest } from '../../../core/nearest.ts'
import type { LogicalLine } from './logical-line.ts'
import { placeOf, wordOf } from './logical-line.ts'
import { isSpace, skipSpace } from './space.ts'

/** A `--name` or `--name=value` as written. */
interface WrittenFlag {
  readonly name: string
  readonly value: Word | undefined
  readonly start: number
  readonly end: number
}

/** What an instruction accepts. */
export interface FlagTable {
  readonly text?: readonly string[]
  readonly list?: readonly string[]
  readonly boolean?: readonly string[]
}

/** The checked flags of one instruction. */
export interface Flags {
  /** undefined when the flag is not given or its value is empty, which Docker treats alike. */
  text(name: string): Word | undefined
  list(name: string): readonly Word[]
  /** undefined when the flag is not given. */
  boolean(name: string): boolean | undefined
}

/**
 * Takes the flags off the front of an instruction's arguments. Quotes and backslashes are undone here, whatever the
 * escape directive says; `--` ends the flags.
 */
export function splitFlags(line: LogicalLine, start: number, end: number): { readonly written: readonly WrittenFlag[]; readonly rest: number } {
  const written: WrittenFlag[] = []
  let position = skipSpace(line.text, start, end)
  while (line.text.startsWith('--', position) && position + 1 < end) {
    const { text, wordEnd, equals } = readFlagWord(line.text, position, end)
    if (text === '--') return { written, rest: skipSpace(line.text, wordEnd, end) }
    const split = text.indexOf('=')
    written.push({
      name: split === -1 ? text.slice(2) : text.slice(2, split),
      value: split === -1 ? undefined : wordOf(line, { start: equals + 1, end: wordEnd }, text.slice(split + 1)),
      start: position,
      end: wordEnd,
    })
    position = skipSpace(line.text, wordEnd, end)
  }
  return { written, rest: position }
}

interface FlagWord {
  /** Without quotes and escapes. */
  readonly text: string
  readonly wordEnd: number
  /** Where the first `=` stands in the line. */
  readonly equals: number
}

function readFlagWord(line: string, start: number, end: number): FlagWord {
  let position = start
  for (; position < end; position += 1) {
    const character = line.charAt(position)
    if (character === '"' || character === "'" || character === '\\') return readQuotedFlagWord(line, start, end)
    if (isSpace(character)) break
  }
  const text = line.slice(start, position)
  const equals = text.indexOf('=')
  return { text, wordEnd: position, equals: equals === -1 ? start : start + equals }
}

function readQuotedFlagWord(line: string, start: number, end: number): FlagWord {
  let text = ''
  let quoteMark = ''
  let equals = -1
  let position = start
  for (; position < end; position += 1) {
    let character = line.charAt(position)
    if (quoteMark === '' && isSpace(character)) break
    if (character === quoteMark) {
      quoteMark = ''
      continue
    }
    if (quoteMark === '' && (character === '"' || character === "'")) {
      quoteMark = character
      continue
    }
    if (character === '\\') {
      position += 1
      if (position >= end) break
      character = line.charAt(position)
    }
    if (character === '=' && equals === -1) equals = position
    text += character
  }
  return { text, wordEnd: Math.min(position, end), equals: equals === -1 ? start : equals }
}

const noFlags: Flags = { text: () => undefined, list: () => [], boolean: () => undefined }

/** @throws {DockerfileError} for a flag that is unknown, given twice, or has a value of the wrong kind */
export function checkFlags(line: LogicalLine, written: readonly WrittenFlag[], { keyword, table }: { readonly keyword: string; readonly table: FlagTable }): Flags {
  if (written.length === 0) return noFlags
  const values = new Map<string, Word[]>()
  const booleans = new Map<string, boolean>()
  for (const flag of written) {
    const place = placeOf(line, flag)
    const label = `${keyword} --${flag.name}`
    const kind = kindOf(flag.name, table)
    if (kind === undefined) throw unknownFlag(place, { keyword, name: flag.name, table })
    if (kind !== 'list' && (values.has(flag.name) || booleans.has(flag.name))) {
      throw new DockerfileError(place, { rule: 'flag', problem: `${label} is given twice`, remedy: 'keep one of them' })
    }
    if (kind === 'boolean') booleans.set(flag.name, parseBoolean(flag, place, label))
    else if (flag.value === undefined) throw new DockerfileError(place, { rule: 'flag', problem: `${label} has no value`, remedy: `write --${flag.name}=…` })
    else appendTo(values, flag.name, flag.value)
  }
  return {
    text: (name) => values.get(name)?.find(({ text }) => text !== ''),
    list: (name) => values.get(name) ?? [],
    boolean: (name) => booleans.get(name),
  }
}

function kindOf(name: string, table: FlagTable): keyof FlagTable | undefined {
  if (table.text?.includes(name) === true) return 'text'
  if (table.list?.includes(name) === true) return 'list'
  return table.boolean?.includes(name) === true ? 'boolean' : undefined
}

function unknownFlag(place: Place, { keyword, name, table }: { readonly keyword: string; readonly name: string; readonly table: FlagTable }): DockerfileError {
  const known = [...table.text ?? [], ...table.list ?? [], ...table.boolean ?? []].map((other) => `--${other}`)
  return new DockerfileError(place, {
    rule: 'flag',
    problem: `${keyword} has no flag ${quote(`--${name}`)}`,
    remedy: known.length === 0 ? `${keyword} has no flags at all; -- before an argument keeps it from being one` : `${keyword} has ${known.join(', ')}`,
    suggestion: findNearest(`--${name}`, known),
  })
}

function parseBoolean({ value }: WrittenFlag, place: Place, label: string): boolean {
  const text = value?.text.toLowerCase() ?? 'true'
  if (text === 'true' || text === 'false') return text === 'true'
  throw new DockerfileError(place, { rule: 'flag', problem: `${label} is ${quote(text)}, want true or false` })
}

function appendTo(values: Map<string, Word[]>, name: string, value: Word): void {
  const list = values.get(name)
  if (list === undefined) values.set(name, [value])
  else list.push(value)
}
