import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parseArguments } from './arguments.ts'
import { environmentFileOption, environmentOption, givenVariables, replaceVariables } from './environment-option.ts'

function given(...args: readonly string[]): string[] {
  const { options } = parseArguments({ name: 'exec', operands: '', minOperands: 0, maxOperands: 0, summary: '', options: [environmentOption, environmentFileOption], examples: [], run: () => Promise.resolve(0) }, args)
  return givenVariables({ files: options.texts('env-file'), entries: options.texts('env') }, { OURS: 'mine' })
}

it('a variable given takes the place of the container\'s: programs read the first of a name', () => {
  expect(replaceVariables(['A=1', 'AB=2', 'C='], given('-e', 'A=3', '--env', 'D=x=y'))).toEqual(['AB=2', 'C=', 'A=3', 'D=x=y'])
  expect(replaceVariables(['A=1'], given())).toEqual(['A=1'])
})

it('a name alone is passed on if we have it, also of a file', () => {
  expect(given('-e', 'OURS', '-e', 'NOBODYS')).toEqual(['OURS=mine'])
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-environment-'))
  writeFileSync(join(folder, 'env'), '# comment\n\nA=1\n  OURS\nNOBODYS\n')
  expect(given('-e', 'B=2', '--env-file', join(folder, 'env'))).toEqual(['A=1', 'OURS=mine', 'B=2'])
  rmSync(folder, { recursive: true })
})

it.each(['=1', ''])('refuses %j', (text) => {
  expect(() => given('-e', text)).toThrow(`an environment variable is written NAME=VALUE, not "${text}"`)
})
