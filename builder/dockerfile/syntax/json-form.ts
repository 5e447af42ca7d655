import type { Word } from '../instruction.ts'
import type { Span } from './logical-line.ts'
import { wordOf } from './logical-line.ts'
import type { StatementHead } from './statement.ts'
import { refuse } from './statement.ts'
import { skipSpace } from './space.ts'

/**
 * The arguments as a JSON array of texts, or undefined when they are anything else: shell form then, with no warning,
 * as Docker has it. `['a']` and `["a"] b` are such.
 * @throws {DockerfileError} for an array that holds something other than texts
 */
export function readJsonForm(statement: StatementHead, span: Span = statement.args): Word[] | undefined {
  const { line } = statement
  const start = skipSpace(line.text, span.start, span.end)
  if (line.text[start] !== '[') return undefined
  const items = parseJson(line.text.slice(start, span.end))
  if (!Array.isArray(items)) return undefined
  const list: readonly unknown[] = items
  const spans = elementSpans(line.text, start)
  return list.map((item, index) => {
    const at = spans[index] ?? { start, end: span.end }
    if (typeof item === 'string') return wordOf(line, at, item.toWellFormed())
    return refuse(statement, {
      rule: 'json-form',
      problem: `the JSON form holds ${describe(item)}, want only texts in double quotes`,
      remedy: 'put the element in double quotes',
    }, at)
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Where the elements of a valid array stand. */
function elementSpans(text: string, open: number): Span[] {
  const spans: Span[] = []
  let position = open + 1
  while (position < text.length && text[position] !== ']') {
    if (', \t\r\n'.includes(text.charAt(position))) {
      position += 1
      continue
    }
    const end = valueEnd(text, position)
    spans.push({ start: position, end })
    position = end
  }
  return spans
}

function valueEnd(text: string, start: number): number {
  let depth = 0
  let position = start
  for (; position < text.length; position += 1) {
    const character = text.charAt(position)
    if (depth === 0 && ', \t\r\n]'.includes(character)) break
    if (character === '"') position = stringEnd(text, position)
    else if (character === '[' || character === '{') depth += 1
    else if (character === ']' || character === '}') depth -= 1
  }
  return position
}

function stringEnd(text: string, open: number): number {
  let position = open + 1
  while (position < text.length && text[position] !== '"') position += text[position] === '\\' ? 2 : 1
  return position
}

function describe(item: unknown): string {
  if (item === null) return 'null'
  if (Array.isArray(item)) return 'an array'
  return typeof item === 'object' ? 'an object' : `the ${typeof item} ${JSON.stringify(item)}`
}
