import type { CharacterSet } from './character-set.ts'
import { isWordCharacter, oneCharacter, readClass, readEscape } from './character-set.ts'
import { matchPath } from './match-path.ts'
import { MalformedPattern } from './pattern-error.ts'

/** One pattern of an ignore file, or of --exclude or --parents. */
export interface IgnorePattern {
  /** Cleaned, and without `!`. */
  readonly text: string
  /** True for `!pattern`: what it matches is taken back in. */
  readonly isException: boolean
  /** A piece that every path it matches holds; empty when there is none to be sure of. */
  readonly literal: string
  /** Every path it matches begins with this. */
  readonly prefix: string
  /** True when the pattern matches this very path; what lies below is for the caller. */
  matches(path: string): boolean
}

/** Where a program stands between two characters. */
type Assertion = (path: string, position: number) => boolean

/** `star` repeats; `directories` is nothing, or any text that ends in a slash. */
type Instruction =
  | { readonly op: 'one'; readonly set: CharacterSet; readonly literal: string }
  | { readonly op: 'star'; readonly set: CharacterSet }
  | { readonly op: 'directories' }
  | { readonly op: 'assert'; readonly holds: Assertion }

/**
 * Reads one pattern; undefined for a blank one. Patterns mean what they mean to moby/patternmatcher, which turns them
 * into regular expressions of Go: so `*` and `?` stop at a slash, `**` does not, a class does not stop at one either,
 * and `\d` is a digit. Matching takes time linear in path times pattern, whatever the pattern.
 * @throws {MalformedPattern}
 */
export function parseIgnorePattern(written: string, line?: number): IgnorePattern | undefined {
  const trimmed = written.trim()
  if (trimmed === '') return undefined
  const cleaned = cleanPath(trimmed)
  const isException = cleaned.startsWith('!')
  const text = isException ? cleaned.slice(1) : cleaned
  if (text === '') throw new MalformedPattern(written, line, 'nothing follows the exclamation mark')
  if (matchPath(text, '.') === 'malformed') throw new MalformedPattern(written, line, 'a class is not closed or is empty, or a backslash ends it')
  return { text, isException, ...compile(text, () => new MalformedPattern(written, line, 'a class or an escape in it means nothing')) }
}

/** As path.Clean of Go: no `.`, no `..` that can be resolved, no doubled or final slash. */
export function cleanPath(path: string): string {
  const isRooted = path.startsWith('/')
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else if (!isRooted) parts.push('..')
  }
  const joined = parts.join('/')
  return isRooted ? `/${joined}` : joined === '' ? '.' : joined
}

type Compiled = Pick<IgnorePattern, 'literal' | 'prefix' | 'matches'>

function compile(text: string, malformed: () => MalformedPattern): Compiled {
  const { expression, kind } = toExpression(text)
  if (kind === 'exact') return { literal: text, prefix: text, matches: (path) => path === text }
  if (kind === 'prefix') {
    const prefix = text.slice(0, -2)
    return { literal: prefix, prefix, matches: (path) => path.startsWith(prefix) }
  }
  if (kind === 'suffix') {
    const suffix = text.slice(2)
    const whole = suffix.startsWith('/') ? suffix.slice(1) : undefined
    return { literal: whole ?? suffix, prefix: '', matches: (path) => path.endsWith(suffix) || path === whole }
  }
  const program = readExpression(expression) ?? raise(malformed())
  return { literal: longestLiteral(program), prefix: leadingLiteral(program), matches: (path) => run(program, path) }
}

function raise(error: MalformedPattern): never {
  throw error
}

type Kind = 'exact' | 'prefix' | 'suffix' | 'expression'

/**
 * The regular expression of a pattern, to stand between `^` and `$`, and whether plain comparison will do instead.
 * Inside a class `*` and `?` are replaced as well, which gives `[*]` its odd meaning.
 */
function toExpression(text: string): { readonly expression: string; readonly kind: Kind } {
  let kind: Kind = 'exact'
  const parts: string[] = []
  const pieces = text.match(/\*\*\/?|\\?[^]/gu) ?? []
  for (const [index, piece] of pieces.entries()) {
    const isLast = index === pieces.length - 1
    if (piece.startsWith('**')) {
      parts.push(isLast ? '.*' : '(.*/)?')
      kind = index === 0 ? 'suffix' : isLast && kind === 'exact' ? 'prefix' : 'expression'
      continue
    }
    parts.push(replacements.get(piece) ?? piece)
    if (/[*?[\]\\]/u.test(piece)) kind = 'expression'
  }
  return { expression: parts.join(''), kind }
}

const replacements: ReadonlyMap<string, string> = new Map([['*', '[^/]*'], ['?', '[^/]'], ...Array.from('.+()|{}$', (character): [string, string] => [character, `\\${character}`])])

function readExpression(expression: string): Instruction[] | undefined {
  const program: Instruction[] = []
  let position = 0
  while (position < expression.length) {
    if (expression.startsWith('(.*/)?', position)) {
      program.push({ op: 'directories' })
      position += 6
      continue
    }
    const atom = readAtom(expression, position)
    if (atom === undefined) return undefined
    position = atom.end
    if (atom.instruction.op !== 'one' || expression[position] !== '*') program.push(atom.instruction)
    else {
      program.push({ op: 'star', set: atom.instruction.set })
      position += 1
    }
  }
  return program
}

function readAtom(expression: string, start: number): { readonly instruction: Instruction; readonly end: number } | undefined {
  const code = expression.codePointAt(start) ?? 0
  const character = String.fromCodePoint(code)
  if (character === '^') return { instruction: { op: 'assert', holds: (_, position) => position === 0 }, end: start + 1 }
  if (character === '.') return { instruction: { op: 'one', set: (other) => other !== 0x0a, literal: '' }, end: start + 1 }
  if (character === '[') {
    const read = readClass(expression, start + 1)
    return read === undefined ? undefined : { instruction: { op: 'one', set: read.set, literal: '' }, end: read.end }
  }
  if (character !== '\\') return { instruction: { op: 'one', set: oneCharacter(code), literal: character }, end: start + character.length }
  const escaped = String.fromCodePoint(expression.codePointAt(start + 1) ?? 0)
  const end = start + 1 + escaped.length
  const holds = assertions.get(escaped)
  if (holds !== undefined) return { instruction: { op: 'assert', holds }, end }
  const escape = readEscape(escaped)
  if (escape === undefined) return undefined
  if (typeof escape === 'function') return { instruction: { op: 'one', set: escape, literal: '' }, end }
  return { instruction: { op: 'one', set: oneCharacter(escape), literal: String.fromCodePoint(escape) }, end }
}

const assertions: ReadonlyMap<string, Assertion> = new Map<string, Assertion>([
  ['A', (_, position) => position === 0],
  ['z', (path, position) => position === path.length],
  ['b', isWordBoundary],
  ['B', (path, position) => !isWordBoundary(path, position)],
])

function isWordBoundary(path: string, position: number): boolean {
  const before = position > 0 && isWordCharacter(path.charCodeAt(position - 1))
  return before !== (position < path.length && isWordCharacter(path.charCodeAt(position)))
}

function longestLiteral(program: readonly Instruction[]): string {
  let longest = ''
  let run = ''
  for (const instruction of program) {
    if (instruction.op === 'assert') continue
    run = instruction.op === 'one' && instruction.literal !== '' ? run + instruction.literal : ''
    if (run.length > longest.length) longest = run
  }
  return longest
}

function leadingLiteral(program: readonly Instruction[]): string {
  let prefix = ''
  for (const instruction of program) {
    if (instruction.op !== 'one' || instruction.literal === '') break
    prefix += instruction.literal
  }
  return prefix
}

/** Keeps every place of the program that the path read so far can have led to; position `2n + 1` is inside `directories` n. */
function run(program: readonly Instruction[], path: string): boolean {
  let places = new Set<number>()
  enter(program, { path, position: 0, places }, 0)
  for (let position = 0; position < path.length && places.size > 0;) {
    const code = path.codePointAt(position) ?? 0
    position += code > 0xffff ? 2 : 1
    const next = { path, position, places: new Set<number>() }
    for (const place of places) step(program, next, { place, code })
    places = next.places
  }
  return places.has(2 * program.length)
}

interface Frontier {
  readonly path: string
  readonly position: number
  readonly places: Set<number>
}

function step(program: readonly Instruction[], next: Frontier, { place, code }: { readonly place: number; readonly code: number }): void {
  const index = place >> 1
  const instruction = program[index]
  if (place % 2 === 1) {
    if (code !== 0x0a) next.places.add(place)
    if (code === 0x2f) enter(program, next, index + 1)
  } else if (instruction?.op === 'one' && instruction.set(code)) enter(program, next, index + 1)
  else if (instruction?.op === 'star' && instruction.set(code)) enter(program, next, index)
}

/** Adds the place before instruction `index`, and all that can be reached from it without reading. */
function enter(program: readonly Instruction[], frontier: Frontier, index: number): void {
  for (let at = index; ; at += 1) {
    if (frontier.places.has(2 * at)) return
    frontier.places.add(2 * at)
    const instruction = program[at]
    if (instruction === undefined || instruction.op === 'one') return
    if (instruction.op === 'assert' && !instruction.holds(frontier.path, frontier.position)) return
    if (instruction.op === 'directories') frontier.places.add(2 * at + 1)
  }
}
