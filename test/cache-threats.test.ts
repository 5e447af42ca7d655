import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { NamedTests } from './support/named-tests.ts'
import { missingTests } from './support/named-tests.ts'

const threats = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'testdata', 'cache-threats.json'), 'utf8')) as readonly { readonly threat: string; readonly tests: NamedTests }[]

/** Published holes of builders' caches (54 to 56, 63), and what else a cache may be poisoned by, with what proves each closed. */
describe('the list of what may poison a cache', () => {
  it.each(threats)('$threat: has tests that are there', ({ tests }) => {
    expect(Object.values(tests).flat().length).toBeGreaterThan(0)
    expect(missingTests(tests)).toEqual([])
  })
})
