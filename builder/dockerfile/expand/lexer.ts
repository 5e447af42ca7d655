import type { Problem } from '../errors.ts'
import { quote } from '../errors.ts'
import { isSpace } from '../syntax/space.ts'
import type { Wildcard } from './wildcard.ts'
import { parseWildcard, replace, trimPrefix, trimSuffix, WildcardTooCostly } from './wildcard.ts'

export interface LexerOptions {
  readonly escape: string
  /** undefined leaves every reference as written and reads none: for finding words only. */
  readonly lookUp: ((name: string) => string | undefined) | undefined
  /** `remove` undoes quoting, `keep` honours it and leaves it in the text, `ignore` gives quotes no meaning. */
  readonly quotes: 'remove' | 'keep' | 'ignore'
  /** True leaves escape characters in the text. */
  readonly rawEscapes: boolean
  /** False where only the text is wanted: long stretches are copied at once then. */
  readonly splitsWords: boolean
  /** Refuses what is at `start` to `end` of the text; must throw. */
  readonly refuse: (problem: Problem, start: number, end: number) => never
}

/** A word of the result and where in the text it began and ended. */
export interface LexedWord {
  readonly text: string
  readonly start: number
  readonly end: number
}

const maxDepth = 500
/** Eight times what Linux accepts as one variable; ARG a=$b$b in a chain doubles at every line. */
const maxLength = 1 << 20

/** Undoes quoting and replaces variables in one pass, as BuildKit's shell lexer does it. Used once. */
export class Lexer {
  readonly #text: string
  readonly #options: LexerOptions
  readonly #words: LexedWord[] = []
  #position = 0
  #depth = 0
  #length = 0
  #rawEscapes: boolean
  #word = ''
  #wordStart: number | undefined

  constructor(text: string, options: LexerOptions) {
    this.#text = text
    this.#options = options
    this.#rawEscapes = options.rawEscapes
  }

  run(): { readonly text: string; readonly words: readonly LexedWord[] } {
    const text = this.#readUntil(undefined)
    this.#endWord(this.#text.length)
    return { text, words: this.#words }
  }

  /** Up to and without `stop`, which is consumed; undefined stands for the end of the text. */
  #readUntil(stop: string | undefined): string {
    const opened = this.#position
    let result = ''
    while (this.#position < this.#text.length) {
      const start = this.#position
      const character = this.#text.charAt(start)
      if (character === stop) {
        this.#position += 1
        return result
      }
      const isSplit = this.#options.splitsWords && this.#depth === 0
      const piece = isSplit || this.#isSpecial(character) ? this.#readPiece(character) : this.#readPlain(stop)
      if (isSplit) this.#addToWords(character, piece, start)
      result += piece
    }
    if (stop !== undefined) {
      this.#refuse({ problem: stop === '}' ? 'the closing } of ${…} is missing' : 'the second / of ${name/pattern/replacement} is missing' }, opened - 1, this.#text.length)
    }
    return result
  }

  #readPlain(stop: string | undefined): string {
    const start = this.#position
    do this.#position += 1
    while (this.#position < this.#text.length && this.#text[this.#position] !== stop && !this.#isSpecial(this.#text.charAt(this.#position)))
    return this.#text.slice(start, this.#position)
  }

  #isSpecial(character: string): boolean {
    const { quotes, escape } = this.#options
    return character === '$' || character === escape || (quotes !== 'ignore' && (character === "'" || character === '"'))
  }

  #readPiece(character: string): string {
    const { quotes, escape } = this.#options
    if (character === '$') return this.#limited(this.#readDollar())
    if (quotes !== 'ignore' && character === "'") return this.#readSingleQuoted()
    if (quotes !== 'ignore' && character === '"') return this.#readDoubleQuoted()
    this.#position += 1
    if (character !== escape) return character
    const escaped = this.#text.charAt(this.#position)
    this.#position += 1
    return this.#rawEscapes ? escape + escaped : escaped
  }

  /** Words are split at space that is neither quoted nor escaped, also at space out of a variable. */
  #addToWords(character: string, piece: string, start: number): void {
    const isVerbatim = character !== '$' && this.#isSpecial(character)
    if (character === '<' && this.#text.startsWith('<<', start)) {
      this.#addHeredocOperator(start)
      return
    }
    if (isVerbatim) {
      this.#wordStart ??= start
      this.#word += piece
      return
    }
    if (piece.length === 1) this.#addPart(piece, start)
    else for (const part of splitAtSpace(piece)) this.#addPart(part, start)
  }

  #addPart(part: string, start: number): void {
    if (isSpace(part)) {
      this.#endWord(start)
      return
    }
    this.#wordStart ??= start
    this.#word += part
  }

  /** Blanks may stand between `<<` and its delimiter; they are part of the word then. */
  #addHeredocOperator(start: number): void {
    if (this.#options.lookUp !== undefined || this.#text.charAt(start - 1) === '<') {
      this.#wordStart ??= start
      this.#word += '<'
      return
    }
    let end = start + 2
    if (this.#text.charAt(end) === '-') end += 1
    const delimiter = end
    while (end < this.#text.length && isSpace(this.#text.charAt(end))) end += 1
    if (this.#text.charAt(delimiter) === '<') end = start + 1
    this.#wordStart ??= start
    this.#word += this.#text.slice(start, end)
    this.#position = end
  }

  #endWord(end: number): void {
    if (this.#word !== '') this.#words.push({ text: this.#word, start: this.#wordStart ?? end, end })
    this.#word = ''
    this.#wordStart = undefined
  }

  #readSingleQuoted(): string {
    const start = this.#position
    const end = this.#text.indexOf("'", start + 1)
    if (end === -1) return this.#refuse({ problem: 'the closing single quote is missing', remedy: 'close it, or escape the quote' }, start, this.#text.length)
    this.#position = end + 1
    return this.#options.quotes === 'keep' ? this.#text.slice(start, end + 1) : this.#text.slice(start + 1, end)
  }

  #readDoubleQuoted(): string {
    const { escape, quotes } = this.#options
    const start = this.#position
    const mark = quotes === 'keep' ? '"' : ''
    let result = mark
    this.#position += 1
    while (this.#position < this.#text.length) {
      const character = this.#text.charAt(this.#position)
      if (character === '"') {
        this.#position += 1
        return result + mark
      }
      if (character === '$') {
        result += this.#limited(this.#readDollar())
        continue
      }
      if (character !== escape) {
        result += this.#readPlain('"')
        continue
      }
      this.#position += 1
      const next = this.#text.charAt(this.#position)
      if (next === '"' || next === '$' || next === escape) {
        result += this.#rawEscapes ? escape + next : next
        this.#position += 1
      } else if (next !== '') result += this.#rawEscapes ? escape + escape : escape
    }
    return this.#refuse({ problem: 'the closing double quote is missing', remedy: 'close it, or escape the quote' }, start, this.#text.length)
  }

  #readDollar(): string {
    const start = this.#position
    this.#position += 1
    if (this.#text.charAt(this.#position) !== '{') {
      const name = this.#readName()
      return name === '' ? '$' : this.#look(name, `$${name}`)
    }
    this.#position += 1
    const first = this.#text.charAt(this.#position)
    if (first === '') return this.#refuse({ problem: 'the closing } of ${…} is missing' }, start, this.#position)
    if (first === '{' || first === '}' || first === ':') return this.#refuse({ problem: '${…} needs a variable name' }, start, this.#position + 1)
    this.#depth += 1
    if (this.#depth > maxDepth) this.#refuse({ rule: 'limit', problem: `\${…} is nested more than ${maxDepth} deep` }, start, this.#position)
    const value = this.#readBraced(start)
    this.#depth -= 1
    return value
  }

  #readBraced(start: number): string {
    const name = this.#readName()
    const operator = this.#text.charAt(this.#position)
    this.#position += 1
    if (operator === '}') return this.#look(name, `\${${name}}`)
    if (operator === '/') return this.#replace(name, start)
    const isColon = operator === ':'
    const modifier = isColon ? this.#text.charAt(this.#position) : operator
    if (isColon) this.#position += 1
    const written = isColon ? `:${modifier}` : modifier
    if (modifier === '' || this.#position > this.#text.length) return this.#refuse({ problem: 'the closing } of ${…} is missing' }, start, this.#text.length)
    if ('-+?'.includes(modifier)) return this.#substitute(name, written, start)
    if (!isColon && '#%'.includes(modifier)) return this.#trim(name, modifier, start)
    return this.#refuse({
      problem: `\${${name}${written}…} is no substitution`,
      remedy: 'there are :- - :+ + :? ? # ## % %% / and //',
    }, start, this.#position)
  }

  #substitute(name: string, written: string, start: number): string {
    const word = this.#readWith(false, '}')
    if (this.#options.lookUp === undefined) return `\${${name}${written}${word}}`
    const value = this.#options.lookUp(name)
    const isMissing = value === undefined || (written.startsWith(':') && value === '')
    if (written.endsWith('-')) return isMissing ? word : value
    if (written.endsWith('+')) return isMissing ? '' : word
    if (!isMissing) return value
    const reason = word === '' ? `is not allowed to be ${value === undefined ? 'unset' : 'empty'}` : word
    return this.#refuse({ problem: `${name}: ${reason}`, remedy: `give ${name} a value with --build-arg, ARG or ENV` }, start, this.#position)
  }

  #trim(name: string, modifier: string, start: number): string {
    const written = this.#readWith(true, '}')
    if (this.#options.lookUp === undefined) return `\${${name}${modifier}${written}}`
    const value = this.#options.lookUp(name) ?? ''
    const isDouble = written.startsWith(modifier)
    const pattern = this.#pattern(isDouble ? written.slice(1) : written, start)
    const extent = isDouble ? 'longest' : 'shortest'
    return this.#match(start, () => modifier === '#' ? trimPrefix(value, pattern, extent) : trimSuffix(value, pattern, extent))
  }

  #replace(name: string, start: number): string {
    const all = this.#text.charAt(this.#position) === '/'
    if (all) this.#position += 1
    const written = this.#readWith(true, '/')
    const replacement = this.#readWith(true, '}')
    if (this.#options.lookUp === undefined) return `\${${name}/${written}/${replacement}}`
    const value = this.#options.lookUp(name) ?? ''
    const pattern = this.#pattern(written, start)
    return this.#match(start, () => replace(value, pattern, { replacement, all }))
  }

  /** Patterns and replacements keep their escapes, other words lose them, whatever holds around the braces. */
  #readWith(rawEscapes: boolean, stop: string): string {
    const before = this.#rawEscapes
    this.#rawEscapes = rawEscapes
    const text = this.#readUntil(stop)
    this.#rawEscapes = before
    return text
  }

  #pattern(text: string, start: number): Wildcard {
    const pattern = parseWildcard(text)
    if ('runs' in pattern) return pattern
    return this.#refuse({ problem: `${quote(`\\${pattern.badEscape}`)} has no meaning in a pattern`, remedy: 'only * ? \\ } and / can be escaped' }, start, this.#position)
  }

  #match(start: number, work: () => string): string {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof WildcardTooCostly)) throw error
      return this.#refuse({ rule: 'limit', problem: 'matching this pattern would take too long' }, start, this.#position)
    }
  }

  #look(name: string, written: string): string {
    return this.#options.lookUp === undefined ? written : this.#options.lookUp(name) ?? ''
  }

  /** Letters, digits and `_`; digits alone when it begins with one; one character for the shell's special parameters. */
  #readName(): string {
    const first = this.#text.charAt(this.#position)
    if (first !== '' && '@*#?-$!'.includes(first)) {
      this.#position += 1
      return first
    }
    const start = this.#position
    const isNumber = isDigit(first)
    while (this.#position < this.#text.length) {
      const character = String.fromCodePoint(this.#text.codePointAt(this.#position) ?? 0)
      if (isNumber ? !isDigit(character) : !isDigit(character) && !isLetter(character)) break
      this.#position += character.length
    }
    return this.#text.slice(start, this.#position)
  }

  #limited(value: string): string {
    this.#length += value.length
    if (this.#length > maxLength) this.#refuse({ rule: 'limit', problem: `the text grows beyond ${maxLength} characters when its variables are replaced` }, 0, this.#text.length)
    return value
  }

  #refuse(problem: Omit<Problem, 'rule'> & { readonly rule?: Problem['rule'] }, start: number, end: number): never {
    return this.#options.refuse({ rule: 'expansion', ...problem }, start, end)
  }
}

/** As Go's unicode.IsDigit; the tables of other scripts are consulted only for other scripts. */
function isDigit(character: string): boolean {
  return (character >= '0' && character <= '9') || (character > '\u007f' && /^\p{Nd}/u.test(character))
}

function isLetter(character: string): boolean {
  const isAscii = (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') || character === '_'
  return isAscii || (character > '\u007f' && /^\p{L}/u.test(character))
}

function splitAtSpace(text: string): string[] {
  const parts: string[] = []
  let from = 0
  for (let index = 0; index <= text.length; index += 1) {
    if (index < text.length && !isSpace(text.charAt(index))) continue
    if (index > from) parts.push(text.slice(from, index))
    if (index < text.length) parts.push(text.charAt(index))
    from = index + 1
  }
  return parts
}
