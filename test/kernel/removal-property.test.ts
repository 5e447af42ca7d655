import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

// A sample: npm run removal-property takes 1,000.
it('a dry run says what the run then frees, to the byte and inode, whatever the store and the policies', () => {
  const script = join(import.meta.dirname, '..', 'property', 'removals.ts')
  const report: unknown = JSON.parse(execFileSync(process.execPath, [script, '--cases', '12', '--seed', '5', '--json'], { encoding: 'utf8' }))
  expect(report).toMatchObject({ done: 12, failures: [] })
  expect((report as { readonly removed: number }).removed).toBeGreaterThan(5)
}, 120_000)
