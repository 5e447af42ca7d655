import { describe, expect, it } from 'vitest'
import { commands } from './commands/index.ts'
import { foreignBuildOptions } from './foreign-build-options.ts'
import { foreignBuilderCommands, foreignCommands } from './foreign-commands.ts'
import { foreignOptions } from './foreign-options.ts'
import { withoutManagementWord } from './management-words.ts'

const loaded = await Promise.all(commands.map((entry) => entry.load()))
const tables = Object.entries<Readonly<Record<string, string>>>({ ...foreignOptions, build: foreignBuildOptions })

describe('an option that others have', () => {
  it.each(tables)('is not one of "tsbuild %s", whose users learn what to do instead', (name, table) => {
    const command = loaded.find((spec) => spec.name === name)
    expect(command?.foreignOptions).toEqual(table)
    const own = command?.options.flatMap(({ name: option, short = option, aliases = [] }) => [option, short, ...aliases]) ?? []
    expect(Object.keys(table).filter((option) => own.includes(option))).toEqual([])
  })

  it('leads to commands and options that are there', () => {
    const texts = tables.flatMap(([name, table]) => Object.values(table).map((text) => ({ name, text })))
    expect(texts.flatMap(({ name, text }) => wrongWords(text, name))).toEqual([])
  })
})

describe('a command that others have', () => {
  it('is none of ours, and leads to some that are', () => {
    expect(Object.keys(foreignCommands).filter((name) => loaded.some((spec) => spec.name === name))).toEqual([])
    expect(Object.values({ ...foreignCommands, ...foreignBuilderCommands }).flatMap((text) => wrongWords(text, undefined))).toEqual([])
  })

  it.each([
    ['buildx imagetools create -t a b', 'there is no "tsbuild buildx imagetools create": copy an image'],
    ['manifest create a b', 'there is no "tsbuild manifest create": several --platform'],
    ['buildx ls', 'not "ls": there is one builder'],
    ['container top a', 'not "top": say "tsbuild exec NAME ps"'],
    ['system info', 'there is no "tsbuild system info": see "tsbuild doctor"'],
  ])('behind a management word says so too: %s', (line, message) => {
    expect(() => withoutManagementWord(line.split(' '))).toThrow(message)
  })
})

/** What a remedy names of ours that is not there: `"tsbuild gone"`, or an option that neither the command named nor the user's own has. */
function wrongWords(text: string, own: string | undefined): string[] {
  const named = [...text.matchAll(/tsbuild (?<name>[a-z-]+)/gu)].map(({ groups }) => groups?.['name'] ?? '')
  const unknown = named.filter((name) => !loaded.some((spec) => spec.name === name))
  const options = loaded.filter(({ name }) => named.includes(name) || name === own || (own === undefined && ['build', 'run'].includes(name))).flatMap((spec) => spec.options.map(({ name }) => name))
  const asked = [...text.replaceAll(/RUN --[a-z]+/gu, '').matchAll(/(?<![\w-])--(?<name>[a-z-]+)/gu)].map(({ groups }) => groups?.['name'] ?? '')
  return [...unknown, ...asked.filter((option) => !options.includes(option)).map((option) => `--${option} in "${text}"`)]
}
