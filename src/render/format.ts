const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** Decimal units with Docker's precision: `4.49MB`, `117MB`, `0B`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${Number(value.toPrecision(value >= 1000 ? 4 : 3))}${units[unit] ?? ''}`
}

export function formatSeconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)}s`
}

/** A running time that stays as wide as it can: `3.2s`, `1m05s`, `2h03m`. */
export function formatElapsed(milliseconds: number): string {
  const tenths = Math.floor(Math.max(0, milliseconds) / 100)
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`
  const minutes = Math.floor(tenths / 600)
  if (minutes < 60) return `${minutes}m${String(Math.floor(tenths / 10) % 60).padStart(2, '0')}s`
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`
}

/** How long ago, in Docker's words. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000)
  if (seconds < 1) return 'Less than a second ago'
  const steps: readonly (readonly [limit: number, size: number, word: string])[] = [
    [60, 1, 'second'], [3600, 60, 'minute'], [48 * 3600, 3600, 'hour'], [14 * 86400, 86400, 'day'], [60 * 86400, 7 * 86400, 'week'],
    [2 * 365 * 86400, 30 * 86400, 'month'], [Infinity, 365 * 86400, 'year'],
  ]
  const [, size, word] = steps.find(([limit]) => seconds < limit) ?? [0, 1, 'second']
  const count = Math.floor(seconds / size)
  return `${count} ${word}${count === 1 ? '' : 's'} ago`
}

/** Text from files and images with what could drive a terminal made visible. */
export function printable(text: string): string {
   
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** The same of what has to stay on its line and in its direction, such as a path of somebody else's. */
export function printableLine(text: string): string {
  return printable(text).replaceAll(/[\t\n\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** Columns as wide as their widest cell, three blanks apart, as Docker's listings are. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)).join('   ').trimEnd()).join('\n')
}

/** A quantity as Docker's flags take it: `512m`, `2g`, `1.5g`, `1024`. @returns undefined when it is none */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgtp]?)i?b?$/iu.exec(text.trim())
  if (match === null) return undefined
  const exponent = 'bkmgtp'.indexOf((match[2] ?? '').toLowerCase() || 'b')
  const bytes = Number(match[1]) * 1024 ** exponent
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : undefined
}

/** The beginning of an id that people type: 12 hexadecimal digits. */
export function shortId(id: string): string {
  return id.slice(id.indexOf(':') + 1, id.indexOf(':') + 13)
}

/** A command line as a shell would take it. */
export function formatCommand(args: readonly string[]): string {
  return ['tsbuild', ...args.map((word) => /^[\w@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll('\'', String.raw`'\''`)}'`)].join(' ')
}

/** Shortened by characters, for a log: only a terminal has columns, and what counts them is loaded for one alone. */
export function shorten(line: string, length: number): string {
  if (line.length <= length) return line
  const characters = Array.from(new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(line), ({ segment }) => segment)
  return characters.length <= length ? line : `${characters.slice(0, length - 1).join('')}…`
}
