import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const script = (name: string): string => join(import.meta.dirname, '..', 'faults', name)

function report(name: string, ...args: readonly string[]): unknown {
  const { stdout, stderr } = spawnSync(process.execPath, [script(name), '--json', ...args], { encoding: 'utf8' })
  return JSON.parse(stdout || JSON.stringify({ stderr }))
}

/** A sample: `npm run faults` and `npm run power-loss` take every place and many rounds. */
describe('a store', () => {
  it.each(['apply', 'gc', 'image'])('killed, without space and with I/O errors in the middle of %s is clean, and does it again', (operation) => {
    const { trials, failures } = report('sweep.ts', '--operations', operation, '--every', '150', '--seed', '7') as { trials: number; failures: unknown[] }
    expect(failures).toEqual([])
    expect(trials).toBeGreaterThan(3)
  }, 120_000)

  it('has after power loss all that was reported done, and nothing halfway', () => {
    expect(report('power-loss.ts', '--rounds', '4')).toMatchObject({ problems: [] })
  }, 60_000)
})
