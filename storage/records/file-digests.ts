import type { FileDigestRecords } from '../store.ts'
import type { Database } from './database.ts'
import { readBytes, readInteger } from './database.ts'

const mostRoots = 64
const mostFolders = 100_000
const forgetOldRoots = 'DELETE FROM digest_roots WHERE id NOT IN (SELECT id FROM digest_roots ORDER BY used_ms DESC LIMIT ?)'

/** One row for each directory of a tree; what is lost with it is only time. */
export class FileDigestTable implements FileDigestRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  load(root: string, folder: Buffer): Uint8Array | undefined {
    const row = this.#database.get('SELECT listing FROM digest_folders WHERE root = (SELECT id FROM digest_roots WHERE root = ?) AND folder = ?', root, folder)
    return row === undefined ? undefined : readBytes(row, 'listing')
  }

  save(root: string, listings: ReadonlyMap<string, Uint8Array>, current: ReadonlySet<string>): void {
    this.#database.transaction('quick', () => {
      this.#database.run('INSERT INTO digest_roots (root, used_ms) VALUES (?1, ?2) ON CONFLICT (root) DO UPDATE SET used_ms = ?2', root, Date.now())
      const id = this.#number('SELECT id AS number FROM digest_roots WHERE root = ?', root)
      for (const [folder, listing] of listings) this.#database.run('INSERT OR REPLACE INTO digest_folders VALUES (?, ?, ?)', id, Buffer.from(folder, 'latin1'), listing)
      this.#database.run(forgetOldRoots, mostRoots)
      if (this.#number('SELECT count(*) AS number FROM digest_folders WHERE root = ?', id) > mostFolders) this.#forgetOthers(id, current)
    })
  }

  #forgetOthers(id: number, current: ReadonlySet<string>): void {
    for (const row of this.#database.all('SELECT folder FROM digest_folders WHERE root = ?', id)) {
      const folder = Buffer.from(readBytes(row, 'folder'))
      if (!current.has(folder.toString('latin1'))) this.#database.run('DELETE FROM digest_folders WHERE root = ? AND folder = ?', id, folder)
    }
  }

  #number(sql: string, value: string | number): number {
    const row = this.#database.get(sql, value)
    if (row === undefined) throw new TypeError(`nothing was found by "${sql}"`)
    return readInteger(row, 'number')
  }
}
