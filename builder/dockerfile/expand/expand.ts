import type { Problem } from '../errors.ts'
import { DockerfileError } from '../errors.ts'
import type { Directives, DockerfileSource, Heredoc, SourceRange, Word } from '../instruction.ts'
import type { LexedWord, LexerOptions } from './lexer.ts'
import { Lexer } from './lexer.ts'

/** What can be looked up while expanding; a `ReadonlyMap` fits. */
export interface Variables {
  get(name: string): string | undefined
  keys(): Iterable<string>
}

/** What a word needs of its file; a parsed `Dockerfile` fits. */
export interface ExpandContext {
  readonly source: DockerfileSource
  readonly directives: Pick<Directives, 'escape'>
}

/** The names met, whether or not they decided the result: `${a:-$b}` reads both. */
export interface References {
  /** Read and set. */
  readonly used: ReadonlySet<string>
  /** Read and not set. */
  readonly unset: ReadonlySet<string>
}

export interface Expansion extends References {
  readonly text: string
}

/** Collects the names of several words. */
export class ReferenceCollector implements References {
  readonly used = new Set<string>()
  readonly unset = new Set<string>()

  look(variables: Variables, name: string): string | undefined {
    const value = variables.get(name)
    if (value === undefined) this.unset.add(name)
    else this.used.add(name)
    return value
  }

  add(references: References): void {
    for (const name of references.used) this.used.add(name)
    for (const name of references.unset) this.unset.add(name)
  }
}

/**
 * Replaces the variables of a word and takes its quotes and escapes away; an unset variable is empty.
 * The result is one text, whatever blanks it holds.
 * @throws {DockerfileError} for a malformed substitution, or where `${name:?message}` refuses
 * @see Dockerfile reference "Environment replacement"
 */
export function expandWord(word: Word, variables: Variables, context: ExpandContext): Expansion {
  if (!/[$'"\\`]/u.test(word.text)) return { text: word.text, used: none, unset: none }
  const references = new ReferenceCollector()
  const { text } = lex(word, context, { escape: context.directives.escape, lookUp: (name) => references.look(variables, name), quotes: 'remove', rawEscapes: false, splitsWords: false })
  return { text, used: references.used, unset: references.unset }
}

/** As `expandWord`, and splits the result at blanks that are not quoted, those out of variables included: EXPOSE. */
export function expandWords(word: Word, variables: Variables, context: ExpandContext): References & { readonly words: readonly Word[] } {
  const references = new ReferenceCollector()
  const { words } = lex(word, context, { escape: context.directives.escape, lookUp: (name) => references.look(variables, name), quotes: 'remove', rawEscapes: false, splitsWords: true })
  return { words: words.map(({ text }) => ({ text, range: word.range })), used: references.used, unset: references.unset }
}

/** The body of a here-document for COPY and ADD: quotes are text, and the escape character is the backslash whatever the directive says. */
export function expandHeredoc(heredoc: Heredoc, variables: Variables, context: ExpandContext): Expansion {
  if (!heredoc.isExpanded) return { text: heredoc.content, used: none, unset: none }
  const references = new ReferenceCollector()
  const body: Word = { text: heredoc.content, range: heredoc.range }
  const { text } = lex(body, context, { escape: '\\', lookUp: (name) => references.look(variables, name), quotes: 'ignore', rawEscapes: false, splitsWords: false })
  return { text, used: references.used, unset: references.unset }
}

const none: ReadonlySet<string> = new Set()

function lex(word: Word, { source }: ExpandContext, options: Omit<LexerOptions, 'refuse'>): { readonly text: string; readonly words: readonly LexedWord[] } {
  const refuse = (problem: Problem, start: number, end: number): never => {
    throw new DockerfileError({ source, range: partOf(word, start, end) }, problem)
  }
  return new Lexer(word.text, { ...options, refuse }).run()
}

/** The part of a word that stands in one piece in the file; of any other word the whole. */
function partOf({ text, range }: Word, start: number, end: number): SourceRange {
  const isVerbatim = range.startLine === range.endLine && range.endColumn - range.startColumn === text.length
  if (!isVerbatim) return range
  return { ...range, startColumn: range.startColumn + start, endColumn: range.startColumn + Math.min(end, text.length) }
}
