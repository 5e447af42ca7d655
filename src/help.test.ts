import { expect, it } from 'vitest'
import { parseArguments } from './arguments.ts'
import { commands } from './commands/index.ts'
import { withoutManagementWord } from './management-words.ts'

const loaded = await Promise.all(commands.map((entry) => entry.load()))
const examples = loaded.flatMap(({ examples: lines }) => lines.flatMap((line) => [...line.matchAll(/(?:^|\| |\$ )tsbuild (?<rest>[^|>]*)/gu)].map(({ groups }) => groups?.['rest'] ?? '')))

/** As a shell splits them, redirections apart. */
function words(line: string): string[] {
  return [...line.replace(/<\s*\S+/gu, '').matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/gu)].map(([word]) => word.replaceAll(/['"]/gu, ''))
}

it.each(examples)('the example "tsbuild %s" is one that its command takes', (line) => {
  const [first = '', ...rest] = withoutManagementWord(words(line))
  const named = loaded.find(({ name }) => name === first)
  const command = named ?? loaded.find(({ name }) => name === 'build')
  if (command === undefined) throw new TypeError('there is no build')
  const args = named === undefined ? [first, ...rest] : rest
  expect(() => parseArguments(command, args)).not.toThrow()
})
