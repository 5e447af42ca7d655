import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Distribution, FoundPackage, PackageList } from './package.ts'
import { distroQualifier, formatPurl } from './package.ts'
import { RpmHeader, tags } from './rpm-header.ts'

export interface RpmDatabase {
  readonly path: string
  readonly bytes: Uint8Array
  /** Its write-ahead log; empty when it has none. */
  readonly log: Uint8Array
  readonly distribution: Distribution
}

/** More than any distribution has. */
const maxPackages = 100_000

/** rpm's `rpmdb.sqlite`: a table with a header for each package. It is a stranger's, so nothing in it is executed. */
export function readRpm(database: RpmDatabase): PackageList {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-rpm-'))
  try {
    const file = join(folder, 'rpmdb.sqlite')
    writeFileSync(file, database.bytes)
    if (database.log.length > 0) writeFileSync(`${file}-wal`, database.log)
    return readFile(file, database)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR')) throw error
    return { packages: [], problems: [`${database.path}: it is no database of rpm: ${error.message}`] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readFile(file: string, { path, distribution }: RpmDatabase): PackageList {
  const sqlite = new DatabaseSync(file, { allowExtension: false, enableForeignKeyConstraints: false })
  try {
    sqlite.exec('PRAGMA trusted_schema = OFF; PRAGMA query_only = ON')
    // A view or a virtual table of this name would run what a stranger wrote.
    const schema = sqlite.prepare("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'Packages'").get()
    if (typeof schema?.['sql'] !== 'string' || !/^CREATE TABLE\b/iu.test(schema['sql'])) return { packages: [], problems: [`${path}: it has no table of packages`] }
    const packages: FoundPackage[] = []
    let unreadable = 0
    for (const row of sqlite.prepare(`SELECT blob FROM Packages ORDER BY rowid LIMIT ${maxPackages}`).iterate()) {
      const found = row['blob'] instanceof Uint8Array ? describe(Buffer.from(row['blob']), { path, distribution }) : 'unreadable'
      if (found === 'unreadable') unreadable += 1
      else if (found !== undefined) packages.push(found)
    }
    return { packages, problems: unreadable === 0 ? [] : [`${path}: ${unreadable} headers have no name or version`] }
  } finally {
    sqlite.close()
  }
}

/** undefined for a key, which rpm keeps among the packages. */
function describe(blob: Buffer, { path, distribution }: Pick<RpmDatabase, 'path' | 'distribution'>): FoundPackage | 'unreadable' | undefined {
  const header = RpmHeader.parse(blob)
  const [name, version, release] = [header?.text(tags.name), header?.text(tags.version), header?.text(tags.release)]
  if (header === undefined || name === undefined || version === undefined || release === undefined) return 'unreadable'
  if (name === 'gpg-pubkey') return undefined
  const epoch = header.number(tags.epoch)
  const own = `${version}-${release}`
  const qualifiers = { arch: header.text(tags.arch), distro: distroQualifier(distribution), epoch: epoch === undefined ? undefined : String(epoch), upstream: header.text(tags.sourceRpm) }
  return {
    name,
    version: epoch === undefined ? own : `${epoch}:${own}`,
    purl: formatPurl({ type: 'rpm', namespace: distribution.id, name, version: own, qualifiers }),
    license: header.text(tags.license),
    homepage: header.text(tags.url),
    foundAt: path,
  }
}
