/** Lists of tests by title: what a list of threats is answered with has to be there. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** Titles by file. */
export type NamedTests = Readonly<Record<string, readonly string[]>>

/** Those that are not there, as `file: title`. */
export function missingTests(tests: NamedTests): string[] {
  return Object.entries(tests).flatMap(([path, titles]) => {
    const there = titlesOf(path)
    return titles.filter((title) => ![...there].some((each) => each === title || each.startsWith(title) || each.endsWith(title))).map((title) => `${path}: ${title}`)
  })
}

/** Of tests that are written once, and of those with a row for each case. */
function titlesOf(path: string): Set<string> {
  const text = readFileSync(join(root, path), 'utf8')
  return new Set([...text.matchAll(/(?:\bit|\]|\)|>)\((['"])((?:(?!\1)[^\\\n]|\\.)*)\1/gu)].map(([, , title = '']) => title.replaceAll(/\\(.)/gu, '$1')))
}
