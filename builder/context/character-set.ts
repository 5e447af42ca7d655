/** Characters a pattern allows at one place, by code point. */
export type CharacterSet = (code: number) => boolean

type Range = readonly [low: number, high: number]

const digits: readonly Range[] = [[0x30, 0x39]]
const lower: readonly Range[] = [[0x61, 0x7a]]
const upper: readonly Range[] = [[0x41, 0x5a]]
const wordRanges: readonly Range[] = [...digits, ...lower, ...upper, [0x5f, 0x5f]]
const perlSpace: readonly Range[] = [[0x09, 0x0a], [0x0c, 0x0d], [0x20, 0x20]]

const named: ReadonlyMap<string, readonly Range[]> = new Map([
  ['alnum', [...digits, ...lower, ...upper]], ['alpha', [...lower, ...upper]], ['ascii', [[0, 0x7f]]], ['blank', [[0x09, 0x09], [0x20, 0x20]]],
  ['cntrl', [[0, 0x1f], [0x7f, 0x7f]]], ['digit', digits], ['graph', [[0x21, 0x7e]]], ['lower', lower], ['print', [[0x20, 0x7e]]],
  ['punct', [[0x21, 0x2f], [0x3a, 0x40], [0x5b, 0x60], [0x7b, 0x7e]]], ['space', [[0x09, 0x0d], [0x20, 0x20]]], ['upper', upper], ['word', wordRanges],
  ['xdigit', [...digits, [0x41, 0x46], [0x61, 0x66]]],
])
const perl: ReadonlyMap<string, readonly Range[]> = new Map([['d', digits], ['w', wordRanges], ['s', perlSpace]])
const controls: ReadonlyMap<string, number> = new Map([['a', 7], ['f', 12], ['t', 9], ['n', 10], ['r', 13], ['v', 11]])

export function oneCharacter(code: number): CharacterSet {
  return (other) => other === code
}

export function isWordCharacter(code: number): boolean {
  return isIn(wordRanges, code)
}

/**
 * What `\x` outside or inside a class stands for in Go's regular expressions, which patterns turn into: a set for
 * `\d`, `\W` and the like, a code for an escaped character, undefined where `\x` is no valid escape.
 */
export function readEscape(character: string): CharacterSet | number | undefined {
  const ranges = perl.get(character.toLowerCase())
  if (ranges !== undefined) return character === character.toLowerCase() ? (code) => isIn(ranges, code) : (code) => !isIn(ranges, code)
  const control = controls.get(character)
  if (control !== undefined) return control
  const code = character.codePointAt(0) ?? 0
  return isWordCharacter(code) && character !== '_' ? undefined : code
}

/** Reads a class from behind its `[`; undefined when it is malformed. */
export function readClass(text: string, start: number): { readonly set: CharacterSet; readonly end: number } | undefined {
  const isNegated = text[start] === '^'
  const ranges: Range[] = []
  const sets: CharacterSet[] = []
  let position = isNegated ? start + 1 : start
  let isFirst = true
  while (isFirst || text[position] !== ']') {
    isFirst = false
    const item = readNamed(text, position) ?? readItem(text, position)
    if (item === undefined) return undefined
    position = item.end
    if ('set' in item) sets.push(item.set)
    else ranges.push([item.low, item.high])
  }
  const has: CharacterSet = (code) => isIn(ranges, code) || sets.some((set) => set(code))
  return { set: isNegated ? (code) => !has(code) : has, end: position + 1 }
}

type ClassItem = { readonly set: CharacterSet; readonly end: number } | { readonly low: number; readonly high: number; readonly end: number }

function readNamed(text: string, start: number): ClassItem | undefined {
  const match = /^\[:(\^?)(\w+):\]/u.exec(text.slice(start, start + 12))
  const ranges = named.get(match?.[2] ?? '')
  if (match === null || ranges === undefined) return undefined
  const end = start + match[0].length
  return { set: match[1] === '^' ? (code) => !isIn(ranges, code) : (code) => isIn(ranges, code), end }
}

function readItem(text: string, start: number): ClassItem | undefined {
  const low = readCharacter(text, start)
  if (low === undefined || 'set' in low) return low
  if (text[low.end] !== '-' || text[low.end + 1] === ']' || low.end + 1 >= text.length) return { low: low.code, high: low.code, end: low.end }
  const high = readCharacter(text, low.end + 1)
  if (high === undefined || 'set' in high || high.code < low.code) return undefined
  return { low: low.code, high: high.code, end: high.end }
}

function readCharacter(text: string, start: number): { readonly set: CharacterSet; readonly end: number } | { readonly code: number; readonly end: number } | undefined {
  const isEscaped = text[start] === '\\'
  const code = text.codePointAt(isEscaped ? start + 1 : start)
  if (code === undefined) return undefined
  const character = String.fromCodePoint(code)
  const end = start + (isEscaped ? 1 : 0) + character.length
  if (!isEscaped) return { code, end }
  const escape = readEscape(character)
  if (escape === undefined) return undefined
  return typeof escape === 'number' ? { code: escape, end } : { set: escape, end }
}

function isIn(ranges: readonly Range[], code: number): boolean {
  for (const [low, high] of ranges) if (low <= code && code <= high) return true
  return false
}
