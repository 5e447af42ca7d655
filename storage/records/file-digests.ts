import type { FileDigestRecords } from '../store.ts'
import type { Database } from './database.ts'
import { readText } from './database.ts'

const mostFolders = 64
const forgetOldest = 'DELETE FROM file_digests WHERE folder NOT IN (SELECT folder FROM file_digests ORDER BY used_ms DESC LIMIT ?)'

/** One row for each folder; what is lost with it is only time. */
export class FileDigestTable implements FileDigestRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  load(folder: string): ReadonlyMap<string, string> {
    const row = this.#database.get('SELECT digests FROM file_digests WHERE folder = ?', folder)
    return new Map(row === undefined ? [] : JSON.parse(readText(row, 'digests')) as [string, string][])
  }

  save(folder: string, digests: ReadonlyMap<string, string>): void {
    this.#database.transaction('quick', () => {
      this.#database.run('INSERT OR REPLACE INTO file_digests VALUES (?, ?, ?)', folder, JSON.stringify([...digests]), Date.now())
      this.#database.run(forgetOldest, mostFolders)
    })
  }
}
