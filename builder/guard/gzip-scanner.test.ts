import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GzipBudget, GzipScanner } from './gzip-scanner.ts'
import { secretPatterns } from './secret-patterns.ts'

const value = 'hunter2-Top-Secret-42'
const patterns = secretPatterns('token', Buffer.from(value))
const noise = Buffer.from(Array.from({ length: 3000 }, (_, index) => (index * 7919 + 13) % 251))
const member = gzipSync(Buffer.concat([noise, Buffer.from(value), noise]))

async function search(pieces: readonly Uint8Array[], budget = new GzipBudget()): Promise<string[]> {
  const scanner = new GzipScanner(patterns, budget)
  for (const piece of pieces) await scanner.add(piece)
  scanner.end()
  return [...scanner.found].map(({ encoding }) => encoding)
}

async function isCut(...files: readonly Buffer[]): Promise<boolean> {
  const scanner = new GzipScanner(patterns, new GzipBudget())
  for (const file of files) await scanner.add(blocks(file))
  scanner.end()
  return scanner.isCut
}

/** Each padded as a tar pads. */
const blocks = (...files: readonly Buffer[]): Buffer => Buffer.concat(files.flatMap((file) => [file, Buffer.alloc((512 - file.length % 512) % 512)]))

describe('what gzip compressed', () => {
  it('is searched where a file begins, in pieces of any size', async () => {
    const stream = blocks(Buffer.alloc(512, 'h'), noise, gzipSync('nothing'), Buffer.alloc(512, 'h'), member, noise)
    expect(await search([member])).toEqual(['plain'])
    await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 20 }), async (cuts) => {
      const places = [0, ...cuts.toSorted((one, other) => one - other), stream.length]
      expect(await search(places.slice(1).map((end, index) => stream.subarray(places[index], end)))).toEqual(['plain'])
    }), { numRuns: 25 })
    expect(await search([blocks(Buffer.from('x'), noise).subarray(0, 1024), Buffer.from('x'), member])).toEqual([])
  })

  it('is searched in every encoding, in each of several members, and as far as there is any', async () => {
    expect(await search([gzipSync(Buffer.from(value).toString('hex'))])).toEqual(['hex'])
    expect(await search([Buffer.concat([gzipSync(noise), member])])).toEqual(['plain'])
    expect(await search([member.subarray(0, -8), Buffer.from('no trailer of it')])).toEqual(['plain'])
    expect(await search([member.subarray(0, 30)])).toEqual([])
    expect(await search([Buffer.concat([member.subarray(0, 10), noise])])).toEqual([])
  })

  it('is searched for 8 MiB of each', async () => {
    const after = (bytes: number): Buffer => gzipSync(Buffer.concat([Buffer.alloc(bytes), Buffer.from(value)]))
    expect(await search([after(7 << 20)])).toEqual(['plain'])
    expect(await search([after(9 << 20)])).toEqual([])
    expect(await search([blocks(after(9 << 20), member)])).toEqual(['plain'])
  })

  it('is said not to be searched whole where it is more than that, taken or given', async () => {
    const large = gzipSync(Buffer.alloc(9 << 20))
    const stored = gzipSync(Buffer.alloc(9 << 20, noise), { level: 0 })
    expect(await Promise.all([isCut(member, noise, gzipSync(Buffer.alloc(7 << 20)), member), isCut(large), isCut(stored), isCut(member.subarray(0, 30))])).toEqual([false, true, true, false])
    const almost = gzipSync(Buffer.alloc(8_300_000))
    expect(await Promise.all([isCut(...Array.from({ length: 8 }, () => almost)), isCut(...Array.from({ length: 9 }, () => almost), member)])).toEqual([false, true])
  })

  it('is searched for 64 MiB of all, and what only looks compressed counts too', async () => {
    const large = gzipSync(Buffer.alloc(9 << 20))
    for (const [fillers, found] of [[Array.from({ length: 7 }, () => large), ['plain']], [Array.from({ length: 8 }, () => large), []]] as const) {
      expect(await search([...fillers, member].map((file) => blocks(file)))).toEqual(found)
    }
    const budget = new GzipBudget()
    const head = Buffer.concat([member.subarray(0, 10), Buffer.alloc(502, 0xff)])
    for (let count = 0; count < 17 && !budget.isSpent; count += 1) expect(await search([Buffer.alloc(512 * 1024, head)], budget)).toEqual([])
    expect(budget.isSpent).toBe(true)
  })
})
