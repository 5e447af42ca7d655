import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom, exercise, mutate, readCorpus } from '../../test/support/dockerfile-fuzzer.ts'
import { expandWord } from './expand/expand.ts'
import { parseWildcard, replace, trimPrefix, trimSuffix } from './expand/wildcard.ts'
import type { SourceRange } from './instruction.ts'
import { parseDockerfile } from './parse.ts'
import { applyChmod, parseChmod } from './values/chmod.ts'
import { splitFields } from './values/csv.ts'

const place = { source: { name: 'Dockerfile', text: '' }, range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 0 } }
const context = { source: place.source, directives: { escape: '\\' } } as const
const expand = (text: string, variables: ReadonlyMap<string, string> = new Map()): string => expandWord({ text, range: place.range }, variables, context).text

/** Text without what has a meaning to the lexer, if only because it is hard to see. */
const printable = fc.string({ unit: fc.constantFrom(...Array.from('abcXYZ019 _-./:=$\'"\\`{}#%*?[]()é日\u{1f600}')) })

describe('parseDockerfile', () => {
  it('reads or refuses any text, and understands alike what it understood, printed', () => {
    const corpus = readCorpus()
    const random = createRandom(4)
    let read = 0
    for (let iteration = 0; iteration < 4000; iteration += 1) if (exercise(mutate(corpus, random)) === 'read') read += 1
    expect(read).toBeGreaterThan(500)
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      exercise(text)
      exercise(`FROM scratch\n${text}`)
    }), { numRuns: 500 })
  }, 60_000)

  it('gives every word the place where it stands in the file', () => {
    const name = fc.constantFrom('one', 'two', 'größe', 'x_1', '😀')
    const separator = fc.constantFrom(' ', '\t', '  ', ' \\\n', ' \\\n  ', ' \\\n# comment\n\t', '\\\r\n ', '\\  \n ')
    const pairs = fc.array(fc.tuple(separator, name, name), { minLength: 1, maxLength: 8 })
    fc.assert(fc.property(pairs, fc.constantFrom('\n', '\r\n'), (parts, newline) => {
      const text = `FROM scratch${newline}ENV${parts.map(([blank, key, value]) => `${blank}${key}=${value}`).join('')}${newline}`
      const [instruction] = parseDockerfile({ name: 'Dockerfile', text }).stages[0]?.instructions ?? []
      if (instruction?.kind !== 'ENV') throw new Error('no ENV')
      for (const word of instruction.pairs.flatMap((pair) => [pair.name, pair.value])) expect(textAt(text, word.range)).toBe(word.text)
      expect(instruction.pairs.map((pair) => [pair.name.text, pair.value.text])).toEqual(parts.map(([, key, value]) => [key, value]))
    }))
  })

  it('reads JSON forms as JSON.parse does, each element with its place', () => {
    fc.assert(fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 2, maxLength: 6 }), fc.constantFrom('', ' ', '\t '), (texts, blank) => {
      const text = `FROM scratch\nCOPY [${texts.map((item) => `${blank}${JSON.stringify(item)}${blank}`).join(',')}]\n`
      const [instruction] = parseDockerfile({ name: 'Dockerfile', text }).stages[0]?.instructions ?? []
      if (instruction?.kind !== 'COPY') throw new Error('no COPY')
      const words = [...instruction.sources.flatMap((source) => source.kind === 'path' ? source.path : []), instruction.destination]
      expect(words.map((word) => word.text)).toEqual(texts)
      for (const word of words) expect(JSON.parse(textAt(text, word.range))).toBe(word.text)
    }))
  })
})

function textAt(text: string, range: SourceRange): string {
  const lines = text.split('\n').slice(range.startLine - 1, range.endLine)
  lines.push((lines.pop() ?? '').slice(0, range.endColumn))
  lines.unshift((lines.shift() ?? '').slice(range.startColumn))
  return lines.join('\n')
}

describe('expandWord', () => {
  it('gives back any text that is escaped or quoted', () => {
    fc.assert(fc.property(printable, (text) => {
      expect(expand(Array.from(text, (character) => `\\${character}`).join(''))).toBe(text)
      expect(expand(`"${text.replace(/["$\\]/gu, '\\$&')}"`)).toBe(text)
      fc.pre(!text.includes("'"))
      expect(expand(`'${text}'`)).toBe(text)
    }))
  })

  it('puts any value in as it is, without reading it again', () => {
    fc.assert(fc.property(printable, (value) => {
      const variables = new Map([['v', value]])
      for (const form of ['$v', '${v}', '"$v"', '${v-x}', '${u-$v}', '${v+$v}', '${v#}', '${v%%}']) expect(expand(form, variables)).toBe(value)
    }))
  })
})

describe('wildcards', () => {
  const small = fc.string({ unit: fc.constantFrom('a', 'b', '/', '\n', '日', '😀'), maxLength: 12 })
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '/', '日', '😀'), maxLength: 6 })

  /** Slow, and plainly right. */
  const expression = (text: string, star: string): string => Array.from(text, (character) => character === '*' ? star : character === '?' ? '[^\\n]' : character).join('')

  it('match as the regular expressions they stand for', () => {
    fc.assert(fc.property(small, pattern, (value, text) => {
      const wildcard = parseWildcard(text)
      if (!('runs' in wildcard)) throw new Error('no pattern')
      for (const [extent, star] of [['shortest', '[^\\n]*?'], ['longest', '[^\\n]*']] as const) {
        expect(trimPrefix(value, wildcard, extent)).toBe(value.replace(new RegExp(`^${expression(text, star)}`, 'u'), ''))
      }
      expect(trimSuffix(value, wildcard, 'longest')).toBe(value.replace(new RegExp(`${expression(text, '[^\\n]*')}$`, 'u'), ''))
      expect(replace(value, wildcard, { replacement: 'X', all: false })).toBe(value.replace(new RegExp(expression(text, '[^\\n]*'), 'u'), 'X'))
    }), { numRuns: 2000 })
  })

  it('cut the shortest suffix where a longer one matches too', () => {
    fc.assert(fc.property(small, pattern, (value, text) => {
      const wildcard = parseWildcard(text)
      if (!('runs' in wildcard)) throw new Error('no pattern')
      const whole = new RegExp(`^${expression(text, '[^\\n]*')}$`, 'u')
      const characters = Array.from(value)
      const shortest = characters.map((_, index) => characters.slice(characters.length - index).join('')).concat(value).find((suffix) => whole.test(suffix))
      expect(trimSuffix(value, wildcard, 'shortest')).toBe(shortest === undefined ? value : value.slice(0, value.length - shortest.length))
    }), { numRuns: 1000 })
  })
})

describe('splitFields', () => {
  it('gives back any fields that were joined as CSV', () => {
    fc.assert(fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', ',', '"', '=', ' ', '日') }), { minLength: 1 }), (fields) => {
      const written = fields.map((field) => /[",]/u.test(field) ? `"${field.replaceAll('"', '""')}"` : field).join(',')
      expect(splitFields(written, place)).toEqual(fields)
    }))
  })
})

describe('applyChmod', () => {
  it('gives a mode, the same when it is applied again', () => {
    const clause = fc.tuple(fc.subarray(['u', 'g', 'o', 'a']), fc.constantFrom('+', '-', '='), fc.subarray(['r', 'w', 'x', 's', 't'])).map(([who, operator, bits]) => `${who.join('')}${operator}${bits.join('')}`)
    fc.assert(fc.property(fc.array(clause, { minLength: 1, maxLength: 3 }), fc.nat(0o7777), fc.boolean(), (clauses, mode, isDirectory) => {
      const chmod = parseChmod(clauses.join(','), place)
      const once = applyChmod(chmod, { mode, isDirectory })
      expect(once).toBeLessThanOrEqual(0o7777)
      expect(applyChmod(chmod, { mode: once, isDirectory })).toBe(once)
    }))
  })
})
