import { describe, expect, it } from 'vitest'
import { formatAge, formatBytes, formatTable, parseBytes, printable, printableLine, shorten } from './format.ts'

describe('parseBytes', () => {
  it.each([['512m', 512 * 1024 ** 2], ['1.5g', 1.5 * 1024 ** 3], ['1024', 1024], ['64KiB', 65536], ['2GB', 2 * 1024 ** 3], ['0', 0], ['10b', 10]])('reads %s', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes)
  })

  it.each(['', 'm', '-1m', '1x', '1e3', '0x10', '1 2', '99999999p'])('refuses %j', (text) => {
    expect(parseBytes(text)).toBeUndefined()
  })
})

it('formats sizes with three digits in decimal units', () => {
  expect([0, 999, 1000, 4_494_337, 116_999_999, 1e15].map(formatBytes)).toEqual(['0B', '999B', '1kB', '4.49MB', '117MB', '1PB'])
})

it('formats ages in the largest unit', () => {
  expect([0, 1000, 59_000, 60_000, 47 * 3_600_000, 48 * 3_600_000, 800 * 86_400_000].map(formatAge)).toEqual(
    ['Less than a second ago', '1 second ago', '59 seconds ago', '1 minute ago', '47 hours ago', '2 days ago', '2 years ago'])
})

it('makes control characters visible', () => {
  expect(printable('a\u001B[31mred\nb\u009bx\tü')).toBe(String.raw`a\x1b[31mred` + '\n' + String.raw`b\x9bx` + '\tü')
})

it('keeps a path on its line and in its direction', () => {
  expect(printableLine('/a\nb\tc\u202egnp\x1b[31m é')).toBe(String.raw`/a\x0ab\x09c\x202egnp\x1b[31m é`)
})

it('aligns columns by their widest cell', () => {
  expect(formatTable([['NAME', 'SIZE'], ['longer', '1B'], ['x', '']])).toBe('NAME     SIZE\nlonger   1B\nx')
})

it('shortens by characters, not by halves of them', () => {
  expect([shorten('four', 4), shorten('fives', 4), shorten('💾💾💾', 2), shorten('', 0)]).toEqual(['four', 'fiv…', '💾…', ''])
})
