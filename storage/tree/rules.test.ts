import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { findRule, isArchiveRule } from './rules.ts'

it('has a name for every rule of the helper, and none too many', () => {
  const header = readFileSync(join(import.meta.dirname, '..', '..', 'native', 'helper', 'tree', 'base', 'rule.h'), 'utf8')
  const numbers: number[] = []
  for (const [, value] of header.matchAll(/^ {4}RULE_\w+(?: = (\d+))?,/gmu)) numbers.push(value === undefined ? (numbers.at(-1) ?? 0) + 1 : Number(value))
  expect(numbers.length).toBeGreaterThan(30)
  for (const number of numbers) expect(findRule(number), `rule ${number}`).toBeDefined()
  const all = Array.from({ length: 200 }, (_, number) => number).filter((number) => findRule(number) !== undefined)
  expect(all).toEqual(numbers)
  expect(all.filter((number) => isArchiveRule(findRule(number) ?? 'out-of-order'))).toEqual(numbers.filter((number) => number < 64))
})
