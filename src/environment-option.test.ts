import { expect, it } from 'vitest'
import { parseArguments } from './arguments.ts'
import type { OptionValues } from './command.ts'
import { environmentOption, replaceVariables } from './environment-option.ts'

function options(...args: readonly string[]): OptionValues {
  return parseArguments({ name: 'exec', operands: '', minOperands: 0, maxOperands: 0, summary: '', options: [environmentOption], examples: [], run: () => Promise.resolve(0) }, args).options
}

it('a variable given takes the place of the container\'s: programs read the first of a name', () => {
  expect(replaceVariables(['A=1', 'AB=2', 'C='], options('-e', 'A=3', '--env', 'D=x=y'))).toEqual(['AB=2', 'C=', 'A=3', 'D=x=y'])
  expect(replaceVariables(['A=1'], options())).toEqual(['A=1'])
})

it.each(['A', '=1', ''])('refuses %j', (text) => {
  expect(() => replaceVariables([], options('-e', text))).toThrow(`option --env takes NAME=VALUE, not "${text}"`)
})
