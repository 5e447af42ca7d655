import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { NamedTests } from './support/named-tests.ts'
import { missingTests } from './support/named-tests.ts'

interface Threat { readonly threat: string; readonly tests: NamedTests }

const root = join(import.meta.dirname, '..')
const threats = JSON.parse(readFileSync(join(root, 'testdata', 'registry-threats.json'), 'utf8')) as readonly Threat[]
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** Published holes of registry clients (93 to 111) and faults of registries (R1 to R21), with what proves each closed. */
describe('the list of what registries and images may try', () => {
  it('has every number once', () => {
    expect(threats.map(({ threat }) => threat.split(' ')[0])).toEqual([...numbers(93, 111).map(String), ...numbers(1, 21).map((number) => `R${number}`)])
  })

  it.each(threats)('$threat: has tests that are there', ({ tests }) => {
    expect(Object.values(tests).flat().length).toBeGreaterThan(0)
    expect(missingTests(tests)).toEqual([])
  })
})
