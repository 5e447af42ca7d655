import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseArguments } from '../src/arguments.ts'
import { buildCommand } from '../src/commands/build.ts'
import { gcCommand } from '../src/commands/gc.ts'
import { parseConfig } from '../src/config.ts'
import { parsePolicy } from '../src/prune-options.ts'
import { readPod } from './support/kubernetes.ts'

const read = (path: string): string => readFileSync(join(import.meta.dirname, '..', 'packaging', path), 'utf8')

describe('packaging', () => {
  it('has a configuration that tsbuild understands', async () => {
    const { gc } = await parseConfig(read('config.toml'), 'config.toml')
    expect(gc.map((texts) => parsePolicy(texts, Date.now()))).toMatchObject([{ what: 'dangling' }, { filters: { kind: 'cache' } }, { keepLast: 3, budgets: { minFreeInodes: { share: 0.1 } } }])
  })

  it('has defaults of containers in it that only need their comment signs removed', async () => {
    const text = read('config.toml').replaceAll(/^# (?=\[containers\]|[a-z-]+ = )/gmu, '')
    const { containers } = await parseConfig(text, 'config.toml')
    expect([...containers.keys()]).toEqual(['network', 'memory', 'cpus', 'pids-limit', 'ulimit', 'runtime'])
  })

  it.each(['gc-cronjob.yaml', 'build-job.yaml'])('kubernetes/%s is what Kubernetes takes, with every volume that it mounts', (file) => {
    const { containers, volumes } = readPod(file)
    expect(containers.flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name)).sort()).toEqual(volumes.map(({ name }) => name).sort())
  })

  it('has a build job with arguments that tsbuild takes', () => {
    const [program, command, ...args] = readPod('build-job.yaml').containers[0]?.command ?? []
    expect([program, command]).toEqual(['tsbuild', 'build'])
    expect(() => parseArguments(buildCommand, args)).not.toThrow()
  })

  it.each([
    ['systemd/tsbuild-gc.service', /tsbuild gc(.*)$/mu],
    ['cron/tsbuild-gc', /tsbuild gc(.*)$/mu],
    ['kubernetes/gc-cronjob.yaml', /"tsbuild", "gc",(.*)\]$/mu],
  ])('%s calls gc with arguments it takes', (path, pattern) => {
    const args = (pattern.exec(read(path))?.[1] ?? '?').replaceAll(/[",]/gu, ' ').trim().split(/\s+/u)
    expect(() => parseArguments(gcCommand, args)).not.toThrow()
  })
})
