import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const project = join(import.meta.dirname, '..', '..')
const installed = mkdtempSync(join(tmpdir(), 'tsbuild-e2e-start-'))
const cache = join(installed, 'dist', '.code-cache')
const program = join(installed, 'dist', 'cli.cjs')

beforeAll(() => {
  mkdirSync(join(installed, 'dist'))
  for (const path of ['bin', 'package.json', join('dist', 'cli.cjs')]) cpSync(join(project, path), join(installed, path), { recursive: true, preserveTimestamps: true })
  symlinkSync(join(project, 'native'), join(installed, 'native'))
})

afterAll(() => {
  rmSync(installed, { recursive: true })
})

function run(...args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return runUnder([], ...args)
}

function runUnder(nodeArgs: readonly string[], ...args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [...nodeArgs, join(installed, 'bin', 'tsbuild.cjs'), ...args], { encoding: 'utf8', env: { ...process.env, TSBUILD_ROOT: join(installed, 'store') } })
}

describe('the code a command compiled', () => {
  it('is kept after its first success, by command, and read from then on', () => {
    expect(run('no-such-command').status).not.toBe(0)
    expect(run('df', '--no-such-flag').status).not.toBe(0)
    expect(() => readdirSync(cache)).toThrow('ENOENT')
    expect(run('df').stdout).toContain('RECLAIMABLE')
    const names = readdirSync(cache)
    expect(names).toEqual([expect.stringMatching(/^df-v\d+/u)])
    const kept = statSync(join(cache, names[0] ?? ''))
    expect(kept.size).toBeGreaterThan(100_000)
    expect(run('df').stdout).toContain('RECLAIMABLE')
    expect(statSync(join(cache, names[0] ?? '')).ino).toBe(kept.ino)
    expect(run('images').status).toBe(0)
    expect(readdirSync(cache).map((name) => name.replace(/-v.*/u, ''))).toEqual(['df', 'images'])
  })

  it('is read by a command that wants V8 otherwise, as transfers do', () => {
    writeFileSync(join(installed, 'empty.tar'), Buffer.alloc(1024))
    expect(run('import', join(installed, 'empty.tar'), 'empty:1').status).toBe(0)
    const copy = (): number => {
      expect(run('copy', 'tsbuild:empty:1', `oci:${join(installed, 'layout')}`).stderr).not.toContain('error')
      return statSync(join(cache, readdirSync(cache).find((file) => file.startsWith('copy-')) ?? '')).ino
    }
    expect(copy()).toBe(copy())
  })

  it('is kept whole, however often garbage is collected meanwhile', () => {
    const kept = (): number => statSync(join(cache, readdirSync(cache).find((file) => file.startsWith('df-')) ?? '')).size
    const collector = join(installed, 'collect.cjs')
    // V8 collects because of what buffers hold; code goes when it did not run between several collections that it began itself.
    const sizes = [0, 300].map((times) => {
      rmSync(cache, { recursive: true })
      writeFileSync(collector, `process.on('exit', () => { for (let i = 0; i < ${times}; i += 1) new ArrayBuffer(2 ** 24) })`)
      expect(runUnder(['-r', collector], 'df').status).toBe(0)
      return kept()
    })
    expect(sizes[1]).toBeGreaterThan(0.98 * (sizes[0] ?? Infinity))
  })

  it('is made again when it is not what V8 can use', () => {
    const name = readdirSync(cache).find((file) => file.startsWith('df-')) ?? ''
    writeFileSync(join(cache, name), 'not compiled')
    expect(run('df').status).toBe(0)
    expect(statSync(join(cache, name)).size).toBeGreaterThan(100_000)
  })

  it('is not that of another program of the same length', () => {
    const text = readFileSync(program, 'utf8')
    const wrong = text.replaceAll('tsbuild version', 'tsbuild Version')
    expect(wrong.length).toBe(text.length)
    expect(run('version').stdout).toMatch(/^tsbuild version/u)
    writeFileSync(program, wrong)
    utimesSync(program, 1, 1)
    expect(run('version').stdout).toMatch(/^tsbuild Version/u)
  })
})
