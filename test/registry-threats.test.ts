import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

interface Threat { readonly threat: string; readonly tests: Readonly<Record<string, readonly string[]>> }

const root = join(import.meta.dirname, '..')
const threats = JSON.parse(readFileSync(join(root, 'testdata', 'registry-threats.json'), 'utf8')) as readonly Threat[]
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** Titles of tests, also of those with a row for each case. */
const titlesOf = (path: string): Set<string> => {
  const text = readFileSync(join(root, path), 'utf8')
  return new Set([...text.matchAll(/(?:\bit|\]|\)|>)\((['"])((?:(?!\1)[^\\\n]|\\.)*)\1/gu)].map(([, , title = '']) => title.replaceAll(/\\(.)/gu, '$1')))
}

/** Published holes of registry clients (93 to 111) and faults of registries (R1 to R21), with what proves each closed. */
describe('the list of what registries and images may try', () => {
  it('has every number once', () => {
    expect(threats.map(({ threat }) => threat.split(' ')[0])).toEqual([...numbers(93, 111).map(String), ...numbers(1, 21).map((number) => `R${number}`)])
  })

  it.each(threats)('$threat: has tests that are there', ({ tests }) => {
    expect(Object.values(tests).flat().length).toBeGreaterThan(0)
    const missing = Object.entries(tests).flatMap(([path, titles]) => {
      const there = titlesOf(path)
      return titles.filter((title) => ![...there].some((each) => each === title || each.startsWith(title) || each.endsWith(title))).map((title) => `${path}: ${title}`)
    })
    expect(missing).toEqual([])
  })
})
