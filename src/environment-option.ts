import { readFileSync } from 'node:fs'
import type { OptionSpec } from './command.ts'
import { UsageError } from './errors.ts'

/** Of commands that start one more process in a container. */
export const environmentOption: OptionSpec = { name: 'env', short: 'e', value: 'NAME[=VALUE]', isRepeatable: true, help: 'Environment variable, beside those of the container; without a value it comes from the environment' }

export const environmentFileOption: OptionSpec = { name: 'env-file', value: 'FILE', isRepeatable: true, help: 'File with a variable on each line' }

/** Of files first; a name alone is passed on if we have it ourselves. @throws {UsageError} */
export function givenVariables({ files, entries }: { readonly files: readonly string[]; readonly entries: readonly string[] }, env: NodeJS.ProcessEnv): string[] {
  return [...files.flatMap((path) => readFile(path, env)), ...entries.flatMap((text) => entryOf(text, env))]
}

function entryOf(text: string, env: NodeJS.ProcessEnv): string[] {
  const equals = text.indexOf('=')
  if (equals === 0 || text === '') throw new UsageError(`an environment variable is written NAME=VALUE, not "${text}"`)
  if (equals > 0) return [text]
  const value = env[text]
  return value === undefined ? [] : [`${text}=${value}`]
}

function readFile(path: string, env: NodeJS.ProcessEnv): string[] {
  const lines = readFileSync(path, 'utf8').split('\n').map((line) => line.trimStart())
  return lines.filter((line) => line !== '' && !line.startsWith('#')).flatMap((line) => entryOf(line, env))
}

/** The container's variables with those given in place of theirs. */
export function replaceVariables(env: readonly string[], added: readonly string[]): string[] {
  const isReplaced = (entry: string): boolean => added.some((text) => text.startsWith(entry.slice(0, entry.indexOf('=') + 1)))
  return [...env.filter((entry) => !isReplaced(entry)), ...added]
}
