import { statSync } from 'node:fs'
import { release } from 'node:os'
import { FormatUnavailable } from '../errors.ts'
import type { Database } from '../records/database.ts'
import { readText } from '../records/database.ts'
import type { ErofsSupport } from './erofs-support.ts'
import { probeErofs } from './erofs-support.ts'

/** How new layers are kept. */
export type LayerFormatName = 'overlay' | 'erofs'

export interface FormatChoice {
  readonly format: LayerFormatName
  /** undefined when nothing of the store needs to know. */
  readonly erofs: ErofsSupport | undefined
}

const defaultFormat: LayerFormatName = 'overlay'

/**
 * Which format new layers get: the one asked for, else the one the store was converted to. Whether this machine can mount
 * EROFS layers is tried once for each kernel and user, and only where something depends on it.
 * @throws {FormatUnavailable} when the format asked for cannot be used here
 */
export async function chooseFormat(database: Database, folder: string, asked: LayerFormatName | undefined): Promise<FormatChoice> {
  const format = asked ?? storedFormat(database)
  const isNeeded = format === 'erofs' || database.get("SELECT 1 FROM layers WHERE origin = 'indexed'") !== undefined
  const erofs = isNeeded ? await findSupport(database, folder) : undefined
  if (format === 'erofs' && erofs?.kind === 'unavailable') {
    if (asked === 'erofs') throw new FormatUnavailable('erofs', erofs.reason)
    return { format: 'overlay', erofs }
  }
  return { format, erofs }
}

export function storedFormat(database: Database): LayerFormatName {
  const row = database.get("SELECT value FROM settings WHERE name = 'layer-format'")
  return row === undefined ? defaultFormat : parseFormat(readText(row, 'value'))
}

export function storeFormat(database: Database, format: LayerFormatName): void {
  database.transaction('durable', () => database.run("INSERT OR REPLACE INTO settings VALUES ('layer-format', ?)", format))
}

/** @throws {FormatUnavailable} for a word that names none */
export function parseFormat(word: string): LayerFormatName {
  if (word === 'overlay' || word === 'erofs') return word
  throw new FormatUnavailable(word, 'there are "overlay" and "erofs"')
}

/** What was found before on this kernel, as this user, on the filesystem of `folder`: a store may have been moved since. */
export function knownSupport(database: Database, folder: string): ErofsSupport | undefined {
  const known = database.get("SELECT value FROM settings WHERE name = 'erofs-backing'")
  const [backing = '', ...circumstances] = known === undefined ? [] : readText(known, 'value').split(' ')
  return circumstances.join(' ') === currentCircumstances(folder) && (backing === 'file' || backing === 'loop') ? { kind: 'available', backing } : undefined
}

/** The same, tried where it is not known. */
export async function findSupport(database: Database, folder: string): Promise<ErofsSupport> {
  const known = knownSupport(database, folder)
  if (known !== undefined) return known
  const probed = await probeErofs(folder)
  if (probed.kind === 'available') {
    database.transaction('quick', () => database.run("INSERT OR REPLACE INTO settings VALUES ('erofs-backing', ?)", `${probed.backing} ${currentCircumstances(folder)}`))
  }
  return probed
}

function currentCircumstances(folder: string): string {
  return `${release()} ${process.geteuid?.() ?? ''} ${statSync(folder).dev}`
}
