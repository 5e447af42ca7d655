import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { importBusybox, useCommand } from '../support/command.ts'

const command = useCommand('env-file')
const [file, program, trace] = ['file', 'program.cjs', 'trace'].map((name) => join(command.folder, name)) as [string, string, string]

beforeAll(() => {
  importBusybox(command)
  writeFileSync(program, `require('fs').writeFileSync(${JSON.stringify(trace)}, '')\n`)
  writeFileSync(file, `GIVEN=1\nTSBUILD_ROOT=/elsewhere\nNODE_OPTIONS=--require ${program}\n`)
})

/** As a shell runs it: the file itself, and whichever Node comes first. */
function run(...args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, TSBUILD_ROOT: command.root }
  return spawnSync(join(import.meta.dirname, '../../bin/tsbuild.cjs'), args, { encoding: 'utf8', env })
}

describe('--env-file', () => {
  it('is for the container alone, and no option of Node\'s', () => {
    const { status, stdout, stderr } = run('run', '--network', 'none', '--env-file', file, 'busybox', 'sh', '-c', 'echo $GIVEN $TSBUILD_ROOT $NODE_OPTIONS')
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `1 /elsewhere --require ${program}\n`, stderr: '' })
    expect(existsSync(trace)).toBe(false)
  })

  it('may be an argument of the container\'s command', () => {
    expect(run('run', '--network', 'none', 'busybox', 'echo', '--env-file', '/none', `--env-file=${file}`)).toMatchObject({ status: 0, stdout: `--env-file /none --env-file=${file}\n` })
    expect(existsSync(trace)).toBe(false)
  })

  it('that is not there is named', () => {
    expect(run('run', '--env-file', '/none', 'busybox')).toMatchObject({ status: 1, stderr: 'error: cannot open "/none": no such file or directory (ENOENT)\n' })
  })
})
