import { describe, expect, it } from 'vitest'
import { parseArguments } from './arguments.ts'
import type { CommandSpec } from './command.ts'

const command: CommandSpec = {
  name: 'run',
  operands: 'IMAGE [COMMAND...]',
  minOperands: 1,
  maxOperands: Infinity,
  stopsAtOperand: true,
  summary: 'Run a command',
  options: [
    { name: 'interactive', short: 'i', help: '' },
    { name: 'tty', short: 't', help: '' },
    { name: 'target', aliases: ['goal'], value: 'STAGE', help: '' },
    { name: 'pull', value: 'MODE', bare: 'always', help: '' },
    { name: 'env', short: 'e', value: 'NAME=VALUE', isRepeatable: true, help: '' },
  ],
  foreignOptions: { volume: 'use --mount', v: 'use --mount' },
  examples: [],
  run: () => Promise.resolve(0),
}
const parse = (...args: string[]): ReturnType<typeof parseArguments> => parseArguments(command, args)

describe('parseArguments', () => {
  it('keeps values that look like numbers as they are written', () => {
    expect(parse('--target', '1.10', '-e', '007', '1e5').options.text('target')).toBe('1.10')
    expect(parse('-e', '007', '1e5')).toMatchObject({ operands: ['1e5'] })
    expect(parse('-e', '007', 'x').options.texts('env')).toEqual(['007'])
  })

  it('knows an option by the names that others have for it', () => {
    expect(parse('--goal', 'a', 'img', '--goal', 'b')).toMatchObject({ operands: ['img', '--goal', 'b'] })
    expect(parse('--goal', 'a', 'img').options.text('target')).toBe('a')
    expect(parse('--goal=b', '--', '--goal').options.text('target')).toBe('b')
    expect(parse('--', '--goal', 'c')).toMatchObject({ operands: ['--goal', 'c'] })
  })

  it('leaves everything behind the first operand to the command', () => {
    const { operands, options } = parse('-it', 'busybox', 'ls', '-l', '--tty=no', '--', '-e')
    expect(operands).toEqual(['busybox', 'ls', '-l', '--tty=no', '--', '-e'])
    expect([options.has('interactive'), options.has('tty'), options.has('env')]).toEqual([true, true, false])
  })

  it('says what to do in place of an option that others have', () => {
    expect(() => parse('--volume', '/a:/a', 'img')).toThrow('"tsbuild run" has no --volume: use --mount')
    expect(() => parse('-v', '/a:/a', 'img')).toThrow('has no -v: use --mount')
  })

  it('collects repeated options in order, in every spelling', () => {
    expect(parse('-e', 'A=1', '--env=B=2', '-eC=3', '--env', 'D=x y', 'img').options.texts('env')).toEqual(['A=1', 'B=2', 'C=3', 'D=x y'])
  })

  it('reads switches with values as Docker does', () => {
    expect(parse('--tty=true', 'x').options.has('tty')).toBe(true)
    expect(parse('--tty=false', 'x').options.has('tty')).toBe(false)
    expect(() => parse('--tty=maybe', 'x')).toThrow(expect.objectContaining({ code: 'CLI_USAGE' }))
  })

  it.each([
    ['an unknown option, with the nearest known one', ['--traget', 'x', 'img'], /--traget.*did you mean --target/u],
    ['an unknown short option', ['-x', 'img'], /-x/u],
    ['a missing value', ['--target'], /--target needs a value: STAGE/u],
    ['a missing operand', ['-i'], /needs IMAGE/u],
  ])('refuses %s', (_, args, message) => {
    expect(() => parse(...args)).toThrow(message)
  })

  it('refuses operands a command has no use for', () => {
    expect(() => parseArguments({ ...command, maxOperands: 1, stopsAtOperand: false }, ['one', 'two'])).toThrow(/not also "two"/u)
  })

  it('asks for nothing when help is wanted', () => {
    expect(parse('--help').options.has('help')).toBe(true)
  })

  it('takes a value after an equals sign alone where an option may go without one', () => {
    const build: CommandSpec = { ...command, stopsAtOperand: false }
    expect(parseArguments(build, ['--pull', 'context'])).toMatchObject({ operands: ['context'] })
    expect(parseArguments(build, ['--pull', 'context']).options.text('pull')).toBe('always')
    expect(parseArguments(build, ['--pull=never', 'context']).options.text('pull')).toBe('never')
  })
})
