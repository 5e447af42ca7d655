import type { OptionSpec, OptionValues } from './command.ts'
import { UsageError } from './errors.ts'

/** Of commands that start one more process in a container. */
export const environmentOption: OptionSpec = { name: 'env', short: 'e', value: 'NAME=VALUE', isRepeatable: true, help: 'Environment variable, beside those of the container' }

/** The container's variables with those of `--env` in place of theirs. @throws {UsageError} */
export function replaceVariables(env: readonly string[], options: OptionValues): string[] {
  const added = options.texts('env')
  const wrong = added.find((text) => text.indexOf('=') < 1)
  if (wrong !== undefined) throw new UsageError(`option --env takes NAME=VALUE, not "${wrong}"`)
  const isReplaced = (entry: string): boolean => added.some((text) => text.startsWith(entry.slice(0, entry.indexOf('=') + 1)))
  return [...env.filter((entry) => !isReplaced(entry)), ...added]
}
