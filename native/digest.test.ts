import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { getAddon, randomId } from './index.ts'

it.each(['', 'hello', 'ä€😀', 'a lone \ud800 half', 'x'.repeat(4095), 'x'.repeat(4096), 'ä'.repeat(5000)])('hashes text as node:crypto does (%#)', (text) => {
  expect(getAddon().sha256(text)).toBe(createHash('sha256').update(text).digest('hex'))
})

it('hashes a part of some bytes', () => {
  const bytes = Buffer.from('some bytes, of which a part').subarray(5, 10)
  expect(getAddon().sha256(bytes)).toBe(createHash('sha256').update(bytes).digest('hex'))
})

it('gives identities of which no two are the same', () => {
  const ids = Array.from({ length: 100 }, randomId)
  expect(new Set(ids).size).toBe(100)
  for (const id of ids) expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/u)
})
