/** Lists of tests by title: what a list of threats is answered with has to be there. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** A test file, and the beginning of a title in it. */
export type NamedTest = readonly [file: string, title: string]

/** What may go wrong, with the tests that fail when it does. */
export interface Threat {
  readonly threat: string
  readonly tests: readonly NamedTest[]
}

/** A list of testdata/, which has titles by file. */
export function readThreats(name: string): Threat[] {
  const listed = JSON.parse(readFileSync(join(root, 'testdata', name), 'utf8')) as readonly { readonly threat: string; readonly tests: Readonly<Record<string, readonly string[]>> }[]
  return listed.map(({ threat, tests }) => ({ threat, tests: Object.entries(tests).flatMap(([file, titles]) => titles.map((title) => [file, title] as const)) }))
}

/** Those that are not there, as `file: title`. */
export function missingTests(tests: readonly NamedTest[]): string[] {
  return tests.filter(([file, title]) => !titlesOf(file).some((each) => each.startsWith(title))).map(([file, title]) => `${file}: ${title}`)
}

/** Of tests that are written once, and of those with a row for each case. */
export function titlesOf(file: string): string[] {
  const path = join(root, file)
  if (!existsSync(path)) return []
  return [...readFileSync(path, 'utf8').matchAll(/(?:\bit|\]|\)|>)\((['"])((?:(?!\1)[^\\\n]|\\.)*)\1/gu)].map(([, , title = '']) => title.replaceAll(/\\(.)/gu, '$1'))
}
