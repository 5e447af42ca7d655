import { findNearest } from '../../core/nearest.ts'
import { UsageError } from '../errors.ts'
import { formatTable } from './format.ts'

/** One line of a listing, by Docker's names of fields. */
export type ListingRow = Readonly<Record<string, string>>

/** A listing as `--format` wants it: `json`, `table TEMPLATE`, or a template for each row. `headings` are by field too. @throws {UsageError} */
export function formatListing(format: string, rows: readonly ListingRow[], headings: ListingRow): string[] {
  if (format === 'json') return rows.map((row) => JSON.stringify(row))
  const table = /^table\s+(.*)$/su.exec(format)?.[1]
  if (table === undefined) return rows.map((row) => expandTemplate(format, row))
  return [formatTable([headings, ...rows].map((row) => expandTemplate(table, row).split('\t')))]
}

/**
 * A value through a template of Go, of which there are `{{.Field.Field}}`, `{{json .Field}}` and `{{index .Field KEY}}`;
 * anything else is refused. Values are written as Go writes them.
 * @throws {UsageError}
 */
export function expandTemplate(template: string, value: unknown): string {
  const text = template.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
  return text.replaceAll(/\{\{(.*?)\}\}/gsu, (_, action: string) => evaluate(action.trim(), value))
}

function evaluate(action: string, value: unknown): string {
  const [, json, path = ''] = /^(json\s+)?(\.[\w.]*)$/u.exec(action) ?? []
  if (path !== '') {
    const found = follow(value, path.split('.').filter((name) => name !== ''))
    return json === undefined ? goText(found) : JSON.stringify(found ?? null)
  }
  const [, base = '', keys = ''] = /^index\s+(\.[\w.]*)((?:\s+(?:\d+|"[^"]*"))+)$/u.exec(action) ?? []
  if (base === '') throw new UsageError(`--format understands {{.Field}}, {{json .Field}} and {{index .Field KEY}}, not "{{${action}}}"; for more there is jq`)
  const inside = [...keys.matchAll(/\d+|"[^"]*"/gu)].map(([key]) => key.replaceAll('"', ''))
  const indexed = follow(value, base.split('.').filter((name) => name !== ''))
  return isMapWithout(indexed, inside) ? '' : goText(follow(indexed, inside))
}

/** `index` of a map gives the empty value for a key that is not there: whether an image has a label is asked so. */
function isMapWithout(value: unknown, [key, ...others]: readonly string[]): boolean {
  return others.length === 0 && typeof value === 'object' && value !== null && !Array.isArray(value) && key !== undefined && !Object.hasOwn(value, key)
}

function follow(value: unknown, names: readonly string[]): unknown {
  return names.reduce((inner, name) => {
    if (typeof inner !== 'object' || inner === null) throw new UsageError(`--format finds no "${name}" in ${goText(inner)}`)
    if (!Object.hasOwn(inner, name)) {
      const known = Object.keys(inner)
      const near = findNearest(name, known)
      throw new UsageError(`--format finds no "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}; there are ${known.slice(0, 20).join(', ')}`)
    }
    return Object.entries(inner).find(([key]) => key === name)?.[1] as unknown
  }, value)
}

function goText(value: unknown): string {
  if (value === null || value === undefined) return '<no value>'
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (typeof value === 'object') return `map[${Object.entries(value).toSorted(([one], [other]) => one < other ? -1 : 1).map(([key, item]) => `${key}:${goText(item)}`).join(' ')}]`
  return typeof value === 'string' ? value : JSON.stringify(value)
}
