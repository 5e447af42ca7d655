import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DockerfileError } from './errors.ts'
import { excerptOf } from './excerpt.ts'
import type { Dockerfile, SourceRange } from './instruction.ts'
import { parseDockerfile } from './parse.ts'

const folder = join(import.meta.dirname, '../../testdata/dockerfile')
const cases = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort()
/** Taken before the tests run: a case without its expected file fails once, and so is looked at. */
const expected = new Map(cases.map((name) => [name, ['parsed.json', 'error.txt'].filter((file) => existsSync(join(folder, name, file)))]))

function parse(name: string): { readonly file: string; readonly text: string } {
  const text = readFileSync(join(folder, name, 'Dockerfile'), 'utf8')
  try {
    return { file: 'parsed.json', text: formatParsed(parseDockerfile({ name: 'Dockerfile', text })) }
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error
    return { file: 'error.txt', text: formatError(error) }
  }
}

/** One line for each instruction, ranges as `line:column-line:column`; the text itself stands in the Dockerfile. */
function formatParsed({ directives, globalArgs, stages }: Dockerfile): string {
  const compact = (value: unknown): string => JSON.stringify(value, (key, inner: unknown) => {
    if (key === 'range') return formatRange(inner)
    return key === 'comments' && Array.isArray(inner) && inner.length === 0 ? undefined : inner
  })
  const lines = [
    `{"directives":${compact(directives)},`,
    `"globalArgs":[${globalArgs.map(compact).join(',\n')}],`,
    `"stages":[`,
    stages.map(({ index, name, from, instructions }) => [
      `{"index":${index},"name":${compact(name ?? null)},`,
      `"from":${compact(from)},`,
      `"instructions":[${instructions.map((instruction) => `\n${compact(instruction)}`).join(',')}]}`,
    ].join('\n')).join(',\n'),
    ']}',
  ]
  return `${lines.join('\n')}\n`
}

function formatRange(value: unknown): string {
  const { startLine, startColumn, endLine, endColumn } = value as SourceRange
  return `${startLine}:${startColumn}-${endLine}:${endColumn}`
}

function formatError(error: DockerfileError): string {
  const excerpt = excerptOf(error).flatMap(({ number, text, underline }) => {
    const line = `${String(number).padStart(4)} | ${text}`
    return underline === undefined ? [line] : [line, `     | ${' '.repeat(underline.start)}${'^'.repeat(underline.end - underline.start)}`]
  })
  const lines = [`${error.rule}: ${error.message}`, ...excerpt, ...error.remedy === undefined ? [] : [`remedy: ${error.remedy}`]]
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}

describe('each case of testdata/dockerfile', () => {
  it.each(cases)('%s', async (name) => {
    const { file, text } = parse(name)
    await expect(text).toMatchFileSnapshot(join(folder, name, file))
  })

  it('has the expected file of its outcome and no other', () => {
    const wrong = cases.filter((name) => expected.get(name)?.join() !== parse(name).file)
    expect(wrong).toEqual([])
  })
})
