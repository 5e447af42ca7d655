import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const script = (name: string): string => join(import.meta.dirname, '..', 'faults', name)

function report(name: string, ...args: readonly string[]): unknown {
  const { stdout, stderr } = spawnSync(process.execPath, [script(name), '--json', ...args], { encoding: 'utf8' })
  return JSON.parse(stdout || JSON.stringify({ stderr }))
}

/** A sample: `npm run faults:all` takes every place and many rounds. */
describe('a store', () => {
  it.each(['pull', 'fetch', 'apply', 'run', 'commit', 'image', 'gc', 'fsck', 'repair'])('killed, without space and with I/O errors in the middle of %s is clean, and does it again', (operation) => {
    const { trials, failures } = report('sweep.ts', '--operations', operation, '--every', '150', '--seed', '7') as { trials: number; failures: unknown[] }
    expect(failures).toEqual([])
    expect(trials).toBeGreaterThan(1)
  }, 300_000)

  it('says which of bytes and inodes ran out, wherever they do, and does it again when there is room', () => {
    expect(report('full.ts', '--operations', 'pull,fetch,image', '--every', '9')).toMatchObject({ failures: [] })
  }, 300_000)

  it.each(['image', 'gc'])('does %s whatever its clock says', (operation) => {
    expect(report('clocks.ts', '--operations', operation)).toEqual({ trials: 7, failures: [] })
  }, 300_000)

  it('is whole after 16 processes at once, gc among them, killed at random', () => {
    const { done, problems } = report('crowd.ts', '--seconds', '8') as { done: number; problems: unknown[] }
    expect(problems).toEqual([])
    expect(done).toBeGreaterThan(0)
  }, 300_000)

  it('has after power loss all that was reported done, and nothing halfway', () => {
    expect(report('power-loss.ts', '--rounds', '4')).toMatchObject({ problems: [] })
  }, 300_000)

  it.each(['pull', 'commit', 'convert', 'gc'])('of EROFS layers does the same after faults in %s', (operation) => {
    const { trials, failures } = report('sweep.ts', '--operations', operation, '--every', '120', '--seed', '11', '--format', 'erofs') as { trials: number; failures: unknown[] }
    expect(failures).toEqual([])
    expect(trials).toBeGreaterThan(1)
  }, 300_000)

  it('of EROFS layers has after power loss all that was reported done', () => {
    expect(report('power-loss.ts', '--rounds', '3', '--format', 'erofs')).toMatchObject({ problems: [] })
  }, 300_000)

  it('has after power loss a directory with a single file that an EROFS layer was converted to', () => {
    expect(report('power-loss.ts', '--rounds', '2', '--format', 'erofs', '--kinds', 'convert')).toMatchObject({ problems: [] })
  }, 300_000)
})
