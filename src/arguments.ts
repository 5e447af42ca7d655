import { parseArgs } from 'node:util'
import type { CommandInput, CommandSpec, OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'
import { findNearest } from '../core/nearest.ts'

/** Every command has it. */
export const helpOption: OptionSpec = { name: 'help', short: 'h', help: 'Show this help' }

const switchValues: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }

/**
 * Reads a command's arguments. Values stay the texts they are: `--target 1.10` and an image id such as `1e5` are no numbers.
 * @throws {UsageError}
 */
export function parseArguments(command: CommandSpec, given: readonly string[]): CommandInput {
  const options = [...command.options, helpOption]
  const args = withoutAliases(given, options)
  const end = command.stopsAtOperand === true ? firstOperand(args, options) : args.length
  const tokens = tokenize(normalizeSwitches(args.slice(0, end), options), options)
  const values = new Map<string, string[]>()
  const operands: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value)
    if (token.kind !== 'option') continue
    const option = findOption(command, options, token)
    values.set(option.name, [...values.get(option.name) ?? [], optionValue(option, token)])
  }
  operands.push(...given.slice(end))
  const input = { operands, options: optionValues(options, values) }
  if (!input.options.has('help')) checkOperands(command, operands)
  return input
}

interface OptionToken { readonly kind: 'option'; readonly name: string; readonly rawName: string; readonly value?: string | undefined }
type Token = OptionToken | { readonly kind: 'positional'; readonly value: string; readonly index: number } | { readonly kind: 'option-terminator' }

/** `--net=host` → `--network=host`. */
function withoutAliases(args: readonly string[], options: readonly OptionSpec[]): string[] {
  const names = new Map(options.flatMap(({ name, aliases = [] }) => aliases.map((alias) => [alias, name])))
  const end = args.includes('--') ? args.indexOf('--') : args.length
  return args.map((arg, index) => {
    const [, alias = '', rest = ''] = /^--([^=]+)(.*)$/su.exec(arg) ?? []
    const name = index < end ? names.get(alias) : undefined
    return name === undefined ? arg : `--${name}${rest}`
  })
}

function tokenize(args: readonly string[], options: readonly OptionSpec[]): Token[] {
  const config = Object.fromEntries(options.map(({ name, short, value }) => [name, {
    type: value === undefined ? 'boolean' as const : 'string' as const,
    multiple: true,
    ...(short === undefined ? {} : { short }),
  }]))
  return parseArgs({ args: [...args], options: config, strict: false, allowPositionals: true, tokens: true }).tokens
}

/** Docker takes `--switch=false`; a switch that is off is one not given. */
function normalizeSwitches(args: readonly string[], options: readonly OptionSpec[]): string[] {
  const switches = new Set(options.filter(({ value }) => value === undefined).map(({ name }) => name))
  const bare = new Map(options.flatMap(({ name, bare: value }) => value === undefined ? [] : [[`--${name}`, `--${name}=${value}`]]))
  const end = args.includes('--') ? args.indexOf('--') : args.length
  return args.flatMap((arg, index) => {
    if (index < end && bare.has(arg)) return [bare.get(arg) ?? arg]
    const [, name = '', value = ''] = /^--([^=]+)=(.*)$/su.exec(arg) ?? []
    if (index > end || !switches.has(name)) return [arg]
    const isOn = Object.hasOwn(switchValues, value) ? switchValues[value] : undefined
    if (isOn === undefined) throw new UsageError(`option --${name} takes true or false, not "${value}"`)
    return isOn ? [`--${name}`] : []
  })
}

function firstOperand(args: readonly string[], options: readonly OptionSpec[]): number {
  const first = tokenize(args, options).find((token) => token.kind === 'positional')
  return first?.kind === 'positional' ? first.index : args.length
}

function findOption(command: CommandSpec, options: readonly OptionSpec[], token: OptionToken): OptionSpec {
  const option = options.find(({ name }) => name === token.name)
  if (option !== undefined) return option
  const instead = Object.hasOwn(command.foreignOptions ?? {}, token.name) ? command.foreignOptions?.[token.name] : undefined
  if (instead !== undefined) throw new UsageError(`"tsbuild ${command.name}" has no ${token.rawName}: ${instead}`, command.name)
  const suggestion = findNearest(token.name, options.map(({ name }) => name))
  throw new UsageError(`unknown option ${token.rawName} for "tsbuild ${command.name}"${suggestion === undefined ? '' : `; did you mean --${suggestion}?`}`, command.name)
}

function optionValue(option: OptionSpec, token: OptionToken): string {
  if (option.value === undefined) return 'true'
  if (token.value === undefined) throw new UsageError(`option ${token.rawName} needs a value: ${option.value}`)
  return token.value
}

function checkOperands(command: CommandSpec, operands: readonly string[]): void {
  if (operands.length < command.minOperands) throw new UsageError(`"tsbuild ${command.name}" needs ${command.operands}`, command.name)
  if (operands.length > command.maxOperands) throw new UsageError(`"tsbuild ${command.name}" takes ${command.operands === '' ? 'no arguments' : command.operands}, not also "${operands[command.maxOperands] ?? ''}"`, command.name)
}

function optionValues(options: readonly OptionSpec[], values: ReadonlyMap<string, readonly string[]>): OptionValues {
  const texts = (name: string): readonly string[] => {
    if (!options.some((option) => option.name === name)) throw new TypeError(`no option is called ${name}`)
    return values.get(name) ?? []
  }
  return { has: (name) => texts(name).length > 0, text: (name) => texts(name).at(-1), texts }
}
