import type { FileDigestRecords, FolderListing } from '../../storage/index.ts'

/** A change within this time of another need not show in a file's times. */
const leastAgeNs = 2_000_000_000n

/**
 * Digests of the files of one folder and those below it, kept between builds. A digest is believed as long as inode, size
 * and both times of the file are what they were, and it is kept only when these were old enough, when the file was read,
 * for any later change to show in them. Time of change cannot be set by a program, so times that were put back do not
 * deceive.
 */
export class FileDigests {
  readonly #records: FileDigestRecords
  readonly #root: string
  readonly #changed = new Map<string, Uint8Array>()
  readonly #current = new Set<string>()

  constructor(records: FileDigestRecords, root: string) {
    this.#records = records
    this.#root = root
  }

  /** What was kept of a directory, for reading it again. */
  recall(folder: Buffer): Uint8Array | undefined {
    const key = folder.toString('latin1')
    this.#current.add(key)
    return this.#changed.get(key) ?? this.#records.load(this.#root, folder)
  }

  /** `isWhole` is false for a listing of some names only. */
  keep(folder: Buffer, listing: FolderListing, isWhole: boolean): void {
    const known = isWhole ? undefined : this.recall(folder)
    this.#changed.set(folder.toString('latin1'), known === undefined ? listing.bytes : listing.joined(known).bytes)
  }

  save(): void {
    if (this.#changed.size === 0) return
    this.#records.save(this.#root, this.#changed, this.#current)
    this.#changed.clear()
  }
}

/** Files that changed after this are too young for their digests to be kept, when they are read now or later. */
export function youngestKeptNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n - leastAgeNs
}
