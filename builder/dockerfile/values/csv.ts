import type { Place } from '../errors.ts'
import { DockerfileError } from '../errors.ts'

/**
 * The fields of one line of comma-separated values: a field in double quotes may hold commas, and quotes doubled.
 * @throws {DockerfileError}
 * @see RFC 4180
 */
export function splitFields(text: string, place: Place): string[] {
  const fields: string[] = []
  let position = 0
  while (position <= text.length) {
    const isQuoted = text[position] === '"'
    const { field, end } = isQuoted ? readQuoted(text, position, place) : readBare(text, position, place)
    fields.push(field)
    position = end + 1
  }
  return fields
}

function readBare(text: string, start: number, place: Place): { readonly field: string; readonly end: number } {
  const comma = text.indexOf(',', start)
  const end = comma === -1 ? text.length : comma
  const field = text.slice(start, end)
  if (field.includes('"')) fail(place, 'a double quote stands inside a field', 'put the whole field in quotes, as in \'type=bind,"target=/a,b"\'')
  return { field, end }
}

function readQuoted(text: string, start: number, place: Place): { readonly field: string; readonly end: number } {
  const parts: string[] = []
  let from = start + 1
  for (let mark = text.indexOf('"', from); mark !== -1; mark = text.indexOf('"', from)) {
    parts.push(text.slice(from, mark))
    if (text[mark + 1] !== '"') {
      if (mark + 1 < text.length && text[mark + 1] !== ',') fail(place, 'text follows a closing double quote', 'quotes go around a whole field')
      return { field: parts.join('"'), end: mark + 1 }
    }
    from = mark + 2
  }
  return fail(place, 'a double quote is not closed', 'close it')
}

function fail(place: Place, problem: string, remedy: string): never {
  throw new DockerfileError(place, { rule: 'mount', problem, remedy })
}
