import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder that goes with the block it is made in. */
export class BenchFolder implements Disposable {
  readonly path: string

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'tsbuild-bench-'))
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** bench/kernel-probe.c as a static program in this folder. */
export function compileProbe(folder: string): string {
  const program = join(folder, 'probe')
  execFileSync('cc', ['-std=gnu17', '-O2', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-static', '-o', program, join(import.meta.dirname, 'kernel-probe.c')])
  return program
}

export interface Times {
  readonly least: number
  readonly median: number
}

/** Of the probe's lines, by name, in microseconds. */
export function readTimes(output: string): ReadonlyMap<string, Times> {
  const lines = output.split('\n').filter((line) => line !== '').map((line) => line.split(' '))
  return new Map([...Map.groupBy(lines, ([name = '']) => name)].map(([name, found]) => [name, summarize(found.map(([, nanoseconds]) => Number(nanoseconds) / 1000))]))
}

export function summarize(values: readonly number[]): Times {
  const sorted = values.toSorted((one, other) => one - other)
  return { least: sorted[0] ?? NaN, median: sorted[sorted.length >> 1] ?? NaN }
}
