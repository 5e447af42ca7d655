import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseArguments } from './arguments.ts'
import type { OptionValues } from './command.ts'
import { configPath, containerKeys, parseConfig } from './config.ts'
import { confinementOptions, parseConfinement } from './confinement-options.ts'
import { withDefaults } from './option-defaults.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-config-'))
afterAll(() => { rmSync(folder, { recursive: true }) })

function options(...args: readonly string[]): OptionValues {
  return parseArguments({ name: 'run', operands: '', minOperands: 0, maxOperands: 0, summary: '', options: confinementOptions, examples: [], run: () => Promise.resolve(0) }, args).options
}

const file = join(folder, 'config.toml')
writeFileSync(file, '[containers]\nnetwork = "none"\nmemory = "1g"\nmemory-swap = "2g"\ncpus = 1.5\nulimit = ["nofile=10:20", "core=0"]\nruntime = "crun"\n')

describe('section containers of the configuration file', () => {
  it('says what the command line does not', async () => {
    const confinement = parseConfinement(await withDefaults(options('--network', 'host', '--ulimit', 'core=1'), { TSBUILD_CONFIG: file }), {})
    expect(confinement).toMatchObject({ network: 'host', limits: { memoryBytes: 2 ** 30, memorySwapBytes: 2 ** 31, cpus: 1.5 }, ulimits: [{ name: 'core', soft: 1, hard: 1 }], executor: { kind: 'oci', runtime: 'crun' } })
  })

  it('gives way to an option that decides the same', async () => {
    const confinement = parseConfinement(await withDefaults(options('--isolation', 'namespaces', '-m', '3g'), { TSBUILD_CONFIG: file }), {})
    expect(confinement).toMatchObject({ executor: { kind: 'helper' }, limits: { memoryBytes: 3 * 2 ** 30 } })
    expect(confinement.limits.memorySwapBytes).toBeUndefined()
  })

  it('is read as the options are', async () => {
    const wrong = join(folder, 'wrong.toml')
    writeFileSync(wrong, '[containers]\ncpus = "many"\n')
    const defaults = await withDefaults(options(), { TSBUILD_CONFIG: wrong })
    expect(() => parseConfinement(defaults, {})).toThrow('option --cpus takes a number of processors')
  })

  it('knows every option of both commands, but those that loosen confinement', () => {
    const loosening = ['cap-add', 'security-opt', 'device']
    expect([...containerKeys, ...loosening].sort()).toEqual(confinementOptions.map(({ name }) => name).sort())
  })

  it.each(['containers = 1', '[containers]\nprivileged = true', '[containers]\ncap-add = "ALL"', '[containers]\nmemory = [["1g"]]', '[container]\nmemory = "1g"'])('refuses %j', async (text) => {
    await expect(parseConfig(text, 'f')).rejects.toMatchObject({ code: 'CLI_USAGE' })
  })
})

describe('the configuration file', () => {
  it('is the one named, else that of the user who called', () => {
    expect(configPath({ TSBUILD_CONFIG: '/a', TSBUILD_CALLERS_CONFIG: '/b' })).toBe('/a')
    expect(configPath({ TSBUILD_CALLERS_CONFIG: '/b' })).toBe('/b')
  })
})
