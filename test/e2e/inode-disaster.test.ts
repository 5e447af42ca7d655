import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

interface Outcome { readonly exitCode: number; readonly stdout: string; readonly stderr: string }

interface Freed { readonly inodes: number; readonly layers: number; readonly removed: number; readonly unmet: readonly unknown[] }

interface Disaster {
  readonly filled: { readonly images: number; readonly failure: string }
  readonly freeBytesWhenFull: number
  readonly freeInodesWhenFull: number
  readonly seenComing: Outcome
  readonly failed: Outcome
  readonly df: Outcome
  readonly predicted: Freed
  readonly freed: Freed
  readonly inodesOfTheFilesystem: number
  readonly freeInodesAfter: number
  readonly built: number
}

describe('a filesystem without inodes', () => {
  it('is named as such, explained by df, freed by gc as foretold, and built on again', () => {
    const script = join(import.meta.dirname, '..', '..', 'scripts', 'inode-disaster.ts')
    const { stdout, stderr } = spawnSync(process.execPath, [script, '--images', '20', '--json'], { encoding: 'utf8' })
    const disaster = JSON.parse(stdout || JSON.stringify({ stderr })) as Disaster
    expect(disaster).toMatchObject({ freeInodesWhenFull: 0, failed: { exitCode: 5 }, df: { exitCode: 0 }, built: 0 })
    expect(disaster.freeBytesWhenFull).toBeGreaterThan(0.9)
    expect(disaster.filled.failure).toContain('has no inodes left')
    expect(disaster.failed.stderr).toContain('has no inodes left')
    expect(disaster.failed.stderr).toContain('hint: "tsbuild df" shows who holds the inodes; "tsbuild gc --min-free-inodes 10%"')
    expect(disaster.seenComing.stderr).toMatch(/only \d+ of \d+ inodes \(\d\.\d%\) are free/u)
    expect(disaster.df.stdout).toMatch(new RegExp(`Images +${disaster.filled.images} `, 'u'))
    expect(disaster.freed).toEqual(disaster.predicted)
    expect(disaster.freed.unmet).toEqual([])
    // The dry run made a lock file that stays.
    expect(disaster.inodesOfTheFilesystem).toBe(disaster.freed.inodes - 1)
    expect(disaster.freeInodesAfter).toBeGreaterThanOrEqual(0.5)
    expect(disaster.freeInodesAfter).toBeLessThan(0.6)
  })

  it('is out of sight where layers are tars with an index: two inodes each', () => {
    const script = join(import.meta.dirname, '..', '..', 'scripts', 'inode-disaster.ts')
    const { stdout, stderr } = spawnSync(process.execPath, [script, '--format', 'erofs', '--images', '6', '--layers', '5', '--files', '100', '--json'], { encoding: 'utf8' })
    expect(JSON.parse(stdout || JSON.stringify({ stderr }))).toMatchObject({ layers: 30, inodesOfLayers: 60, inodesLeft: 0, exitCode: 0, freed: { layers: 25 } })
  })
})
