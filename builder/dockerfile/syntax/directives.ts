import type { Problem } from '../errors.ts'
import { DockerfileError } from '../errors.ts'
import type { Directives, DockerfileSource, Word } from '../instruction.ts'
import type { PhysicalLine } from './line-reader.ts'
import { LineReader } from './line-reader.ts'

type DirectiveName = keyof Directives

export interface DirectiveBlock {
  readonly directives: Directives
  /** The value of each directive with its place. */
  readonly words: ReadonlyMap<DirectiveName, Word>
  /** How many lines at the top are directives, or the `#!` line before them. */
  readonly lineCount: number
}

const pattern = /^#[\s\u0085]*([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*$/u

/**
 * Reads `# name=value` lines at the very top. The block ends at the first line that is anything else, unknown names
 * included, so a later `# escape=` is a comment. After a `#!` line `syntax` and `check` still count, `escape` does not.
 */
export function readDirectives(source: DockerfileSource): DirectiveBlock {
  const reader = new LineReader(source, { escape: '\\', directiveLines: 0 })
  const words = new Map<DirectiveName, Word>()
  const hasShebang = source.text.startsWith('#!')
  let lineCount = hasShebang ? reader.nextPhysical()?.number ?? 0 : 0
  for (let line = reader.nextPhysical(); line !== undefined; line = reader.nextPhysical()) {
    const directive = readDirective(line)
    if (directive === undefined) break
    const { name, word } = directive
    if (words.has(name)) fail(source, word, { rule: 'directive', problem: `the directive "${name}" is given twice`, remedy: 'keep one of them' })
    words.set(name, word)
    lineCount = line.number
  }
  return {
    directives: {
      syntax: readSyntax(source, words.get('syntax')),
      escape: hasShebang ? '\\' : readEscape(source, words.get('escape')),
      check: words.get('check')?.text,
    },
    words,
    lineCount,
  }
}

function readDirective({ number, text }: PhysicalLine): { readonly name: DirectiveName; readonly word: Word } | undefined {
  const match = pattern.exec(text.trimStart())
  const name = match?.[1]?.toLowerCase()
  if (name !== 'syntax' && name !== 'check' && name !== 'escape') return undefined
  const value = match?.[2] ?? ''
  const start = text.lastIndexOf(value)
  return { name, word: { text: value, range: { startLine: number, startColumn: start, endLine: number, endColumn: start + value.length } } }
}

function readEscape(source: DockerfileSource, word: Word | undefined): '\\' | '`' {
  if (word === undefined) return '\\'
  if (word.text === '\\' || word.text === '`') return word.text
  return fail(source, word, { rule: 'directive', problem: `${JSON.stringify(word.text)} cannot be the escape character`, remedy: 'write # escape=\\ or # escape=`' })
}

/**
 * tsbuild is the frontend and runs no other. Images named `dockerfile` or `dockerfile-upstream`, in whatever registry
 * and version, are builds of the language it implements; any other name may be any other language.
 */
function readSyntax(source: DockerfileSource, word: Word | undefined): string | undefined {
  if (word === undefined) return undefined
  const image = word.text.split(' ', 1)[0] ?? ''
  if (/^(?:.+\/)?dockerfile(?:-upstream)?(?:[:@].*)?$/u.test(image)) return word.text
  return fail(source, word, {
    rule: 'syntax-image',
    problem: `the file asks for the frontend image ${JSON.stringify(image)}, which tsbuild does not run`,
    remedy: 'remove the line if the file is a Dockerfile, or build it with BuildKit',
  })
}

function fail(source: DockerfileSource, word: Word, problem: Problem): never {
  throw new DockerfileError({ source, range: word.range }, problem)
}
