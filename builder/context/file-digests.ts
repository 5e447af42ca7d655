import type { BigIntStats } from 'node:fs'
import type { FileDigestRecords, TreeEntry } from '../../storage/index.ts'

/** A change within this time of another need not show in a file's times. */
const leastAgeNs = 2_000_000_000n
const mostEntries = 200_000

/** What a file was when it was looked at. */
export interface FileIdentity {
  readonly stamp: string
  /** The later of its two times. */
  readonly newestNs: bigint
}

export function identifyFile({ fileId, sizeBytes, mtimeNs }: TreeEntry, { ctimeNs }: Pick<BigIntStats, 'ctimeNs'>): FileIdentity {
  return { stamp: `${fileId}:${sizeBytes}:${mtimeNs}:${ctimeNs}:plain `, newestNs: mtimeNs > ctimeNs ? mtimeNs : ctimeNs }
}

/**
 * Digests of the files of one folder, kept between builds. A digest is believed as long as inode, size and both times of
 * the file are what they were, and it is kept only when these were old enough, when the file was read, for any later
 * change to show in them. Only files without extended attributes are for it. Time of change cannot be set by a program, so times that were put back do not deceive.
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

  /**
   * The digest, if it is kept. No file whose digest is has extended attributes, and one that got some has another time of
   * change.
   */
  find(path: Buffer, { stamp }: FileIdentity): string | undefined {
    const key = path.toString('latin1')
    const known = this.#known.get(key)
    if (known?.startsWith(stamp) !== true) return undefined
    this.#seen.add(key)
    return known.slice(stamp.length)
  }

  /** `read` is called when the digest is not known; the file was looked at before. */
  get(path: Buffer, identity: FileIdentity, read: () => string): string {
    const known = this.find(path, identity)
    if (known !== undefined) return known
    const nowNs = BigInt(Date.now()) * 1_000_000n
    const digest = read()
    if (identity.newestNs < nowNs - leastAgeNs) {
      const key = path.toString('latin1')
      this.#seen.add(key)
      this.#known.set(key, identity.stamp + digest)
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
