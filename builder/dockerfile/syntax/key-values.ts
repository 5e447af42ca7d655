import type { ArgInstruction, EnvInstruction, KeyValue, LabelInstruction, Word } from '../instruction.ts'
import type { Span } from './logical-line.ts'
import { wordOf } from './logical-line.ts'
import { isBlank } from './space.ts'
import type { Statement } from './statement.ts'
import { keywordOf, refuse, statementFlags } from './statement.ts'
import { quotedWord, splitQuoted } from './words.ts'

export function parseEnv(statement: Statement): EnvInstruction {
  return { kind: 'ENV', ...statement.base, pairs: readPairs(statement) }
}

export function parseLabel(statement: Statement): LabelInstruction {
  return { kind: 'LABEL', ...statement.base, pairs: readPairs(statement) }
}

export function parseArg(statement: Statement): ArgInstruction {
  statementFlags(statement)
  const spans = readWords(statement)
  const args = spans.map((span) => {
    const pair = splitPair(statement, span)
    if (pair === undefined) return { name: quotedWord(statement.line, span, { escape: statement.escape, argumentsEnd: statement.args.end }), value: undefined }
    return pair
  })
  return { kind: 'ARG', ...statement.base, args }
}

/** `name=value …`, or the old form `name value` where the value is the rest of the line, blanks and quotes and all. */
function readPairs(statement: Statement): KeyValue[] {
  statementFlags(statement)
  const { line, args } = statement
  const spans = readWords(statement)
  const [first] = spans
  if (first !== undefined && !line.text.slice(first.start, first.end).includes('=')) return [readOldForm(statement)]
  return spans.map((span) => {
    const pair = splitPair(statement, span)
    if (pair !== undefined) return { ...pair, hasEquals: true }
    const text = line.text.slice(span.start, span.end)
    return refuse(statement, {
      rule: 'key-value',
      problem: `${keywordOf(statement)} has ${JSON.stringify(text)} without =, want name=value`,
      remedy: `quote values that hold blanks: ${line.text.slice(args.start, first?.end).split('=')[0] ?? ''}="…"`,
    }, span)
  })
}

function readOldForm(statement: Statement): KeyValue {
  const { line, args } = statement
  let nameEnd = args.start
  while (nameEnd < args.end && !isBlank(line.text.charAt(nameEnd))) nameEnd += 1
  let start = nameEnd
  while (start < args.end && isBlank(line.text.charAt(start))) start += 1
  if (start === args.end) {
    const name = line.text.slice(args.start, nameEnd)
    refuse(statement, { rule: 'key-value', problem: `${keywordOf(statement)} ${JSON.stringify(name)} has no value`, remedy: `write ${keywordOf(statement)} ${name}=value` })
  }
  return { name: wordOf(line, { start: args.start, end: nameEnd }), value: wordOf(line, { start, end: args.end }), hasEquals: false }
}

function readWords(statement: Statement): Span[] {
  const spans = splitQuoted(statement.line, statement.args, statement.escape)
  if (spans.length > 0) return spans
  const form = keywordOf(statement) === 'ARG' ? 'name or name=value' : 'name=value'
  return refuse(statement, { rule: 'argument-count', problem: `${keywordOf(statement)} has no argument`, remedy: `write ${keywordOf(statement)} ${form}` })
}

function splitPair(statement: Statement, span: Span): { readonly name: Word; readonly value: Word } | undefined {
  const { line, escape, args } = statement
  const equals = line.text.indexOf('=', span.start)
  if (equals === -1 || equals >= span.end) return undefined
  if (equals === span.start) refuse(statement, { rule: 'key-value', problem: `${keywordOf(statement)} has a value without a name`, remedy: 'write the name before =' }, span)
  return {
    name: wordOf(line, { start: span.start, end: equals }),
    value: quotedWord(line, { start: equals + 1, end: span.end }, { escape, argumentsEnd: args.end }),
  }
}
