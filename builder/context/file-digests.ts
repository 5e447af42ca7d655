import type { BigIntStats } from 'node:fs'
import type { FileDigestRecords } from '../../storage/index.ts'

/** A change within this time of another need not show in a file's times. */
const leastAgeNs = 2_000_000_000n
const mostEntries = 200_000

/**
 * Digests of the files of one folder, kept between builds. A digest is believed as long as inode, size and both times of
 * the file are what they were, and it is kept only when these were old enough, when the file was read, for any later
 * change to show in them. Time of change cannot be set by a program, so times that were put back do not deceive.
 */
export class FileDigests {
  readonly #records: FileDigestRecords
  readonly #folder: string
  readonly #known: Map<string, string>
  readonly #seen = new Set<string>()
  #isChanged = false

  constructor(records: FileDigestRecords, folder: string) {
    this.#records = records
    this.#folder = folder
    this.#known = new Map(records.load(folder))
  }

  /** `read` is called when the digest is not known; `stats` were taken before. */
  get(path: Buffer, stats: BigIntStats, read: () => string): string {
    const key = path.toString('latin1')
    const stamp = `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs} `
    const known = this.#known.get(key)
    this.#seen.add(key)
    if (known?.startsWith(stamp) === true) return known.slice(stamp.length)
    const nowNs = BigInt(Date.now()) * 1_000_000n
    const digest = read()
    const newest = stats.mtimeNs > stats.ctimeNs ? stats.mtimeNs : stats.ctimeNs
    if (newest < nowNs - leastAgeNs) {
      this.#known.set(key, stamp + digest)
      this.#isChanged = true
    }
    return digest
  }

  save(): void {
    if (!this.#isChanged) return
    const kept = this.#known.size > mostEntries ? new Map([...this.#known].filter(([key]) => this.#seen.has(key))) : this.#known
    this.#records.save(this.#folder, kept)
    this.#isChanged = false
  }
}
