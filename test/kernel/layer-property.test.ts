import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

describe('a layer', () => {
  // A sample: npm run layer-property takes 100,000.
  it('applied on its base is the tree that a process left, whatever it did', () => {
    const script = join(import.meta.dirname, '..', 'property', 'changesets.ts')
    const report: unknown = JSON.parse(execFileSync(process.execPath, [script, '--sequences', '400', '--seed', '7', '--json'], { encoding: 'utf8' }))
    expect(report).toEqual({ done: 400, failures: [] })
  }, 120_000)
})
