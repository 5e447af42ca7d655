import { readFileSync, statSync } from 'node:fs'
import { release } from 'node:os'
import { FormatUnavailable } from '../errors.ts'
import type { Database } from '../records/database.ts'
import { readText } from '../records/database.ts'
import type { ErofsSupport } from './erofs-support.ts'
import { probeErofs } from './erofs-support.ts'
import { findMountObstacle } from './mount-rights.ts'

/** How a layer is kept. */
export type LayerFormatName = 'overlay' | 'erofs'

/** How new layers are kept: all in one format, or each in the one that suits it. @see docs/decisions/0031-two-formats-in-one-store.md */
export type FormatPolicy = LayerFormatName | 'auto'

/** `contrary` keeps every layer in the format that `auto` does not, for who compares. */
export type AskedPolicy = FormatPolicy | 'contrary'

export interface FormatChoice {
  readonly policy: AskedPolicy
  /** For people: why this one. */
  readonly reason: string
  /** undefined when nothing of the store needs to know. */
  readonly erofs: ErofsSupport | undefined
}

/**
 * Which formats new layers get: those asked for, else those the store was converted to, else `auto` where the kernel mounts EROFS
 * images from files. Whether this machine can is tried once for each kernel and filesystem, and only where something depends on it.
 * @throws {FormatUnavailable} when what is asked for cannot be had here
 */
export async function chooseFormat(database: Database, folder: string, asked: AskedPolicy | undefined): Promise<FormatChoice> {
  const stored = storedPolicy(database)
  const wish = asked ?? stored ?? 'auto'
  const reason = asked !== undefined ? 'it is asked for' : 'the store was converted to it'
  if (wish === 'overlay') {
    const isNeeded = database.get("SELECT 1 FROM layers WHERE origin = 'indexed'") !== undefined
    return { policy: wish, reason, erofs: isNeeded ? await findSupport(database, folder) : undefined }
  }
  const erofs = await findSupport(database, folder)
  if (erofs.kind === 'unavailable') {
    if (asked === 'erofs' || asked === 'contrary') throw new FormatUnavailable('erofs', erofs.reason)
    return { policy: 'overlay', reason: erofs.reason, erofs }
  }
  if (wish !== 'auto') return { policy: wish, reason, erofs }
  return erofs.backing === 'file' ? { policy: 'auto', reason: 'the kernel mounts EROFS images from files', erofs } : { policy: 'overlay', reason: onlyLoops, erofs }
}

/** Such devices are the whole host's, and in a container the nodes of new ones are missing. */
const onlyLoops = 'EROFS images can be mounted by loop devices only, which are left to those who ask for them by TSBUILD_LAYER_FORMAT=erofs'

function storedPolicy(database: Database): FormatPolicy | undefined {
  const row = database.get("SELECT value FROM settings WHERE name = 'layer-format'")
  return row === undefined ? undefined : parsePolicy(readText(row, 'value'))
}

export function storePolicy(database: Database, policy: FormatPolicy): void {
  database.transaction('durable', () => database.run("INSERT OR REPLACE INTO settings VALUES ('layer-format', ?)", policy))
}

/** @throws {FormatUnavailable} for a word that names none */
export function parsePolicy(word: string): FormatPolicy {
  if (word === 'overlay' || word === 'erofs' || word === 'auto') return word
  throw new FormatUnavailable(word, 'there are "overlay", "erofs" and "auto"')
}

/** What was found before on this kernel, on the filesystem of `folder`: a store may have been moved since. */
export function knownSupport(database: Database, folder: string): ErofsSupport | undefined {
  const obstacle = findMountObstacle()
  if (obstacle !== undefined) return { kind: 'unavailable', reason: obstacle }
  const known = database.get("SELECT value FROM settings WHERE name = 'erofs-support'")
  const [circumstances, backing, reason = ''] = known === undefined ? [] : readText(known, 'value').split('\n')
  if (circumstances !== currentCircumstances(folder)) return undefined
  return backing === 'file' || backing === 'loop' ? { kind: 'available', backing } : { kind: 'unavailable', reason }
}

/** The same, tried where it is not known. @throws {StorageFull} */
export async function findSupport(database: Database, folder: string): Promise<ErofsSupport> {
  return knownSupport(database, folder) ?? await trySupport(database, folder)
}

/** Tried, whatever is known, and known from then on. @throws {StorageFull} */
export async function trySupport(database: Database, folder: string): Promise<ErofsSupport> {
  const probed = await probeErofs(folder)
  const found = probed.kind === 'available' ? probed.backing : `none\n${probed.reason}`
  if (findMountObstacle() === undefined) database.transaction('quick', () => database.run("INSERT OR REPLACE INTO settings VALUES ('erofs-support', ?)", `${currentCircumstances(folder)}\n${found}`))
  return probed
}

/** Until the next boot: a module may be there then. */
function currentCircumstances(folder: string): string {
  return `${release()} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${statSync(folder).dev}`
}
