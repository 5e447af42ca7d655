import { excerptOf } from '../../builder/index.ts'
import type { Place } from '../../builder/index.ts'
import { printable } from './format.ts'

/** The lines around a place of a Dockerfile, what is meant underlined. */
export function renderExcerpt(place: Place): string[] {
  const excerpt = excerptOf(place)
  const width = String(excerpt.at(-1)?.number ?? 0).length
  return [
    `${printable(place.source.name)}:${place.range.startLine}`,
    ...excerpt.flatMap(({ number, text, underline }) => [
      ` ${String(number).padStart(width)} | ${text}`,
      ...(underline === undefined ? [] : [` ${' '.repeat(width)} | ${' '.repeat(underline.start)}${'^'.repeat(underline.end - underline.start)}`]),
    ]),
  ]
}
