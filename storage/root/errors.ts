import type { StatsFs } from 'node:fs'
import { TsbuildError } from '../../core/errors.ts'

/** The filesystem of the store has no room left. */
export class StorageFull extends TsbuildError {
  readonly code = 'STORAGE_FULL'
  readonly root: string
  /** Which of the two ran out. */
  readonly resource: 'bytes' | 'inodes'
  readonly freeBytes: number
  readonly freeInodes: number

  constructor(root: string, { bavail, bsize, files, ffree }: StatsFs, options: ErrorOptions) {
    // Filesystems that make inodes as they need them count none.
    const resource = files > 0 && ffree < 16 ? 'inodes' : 'bytes'
    super(`cannot write to "${root}": its filesystem has no ${resource} left (${bavail * bsize} bytes and ${ffree} inodes are free)`, options)
    this.root = root
    this.resource = resource
    this.freeBytes = bavail * bsize
    this.freeInodes = ffree
  }
}

/** The store was written by a newer tsbuild, in a way this one does not know. */
export class StoreTooNew extends TsbuildError {
  readonly code = 'STORAGE_TOO_NEW'
  readonly root: string
  readonly version: string

  constructor(root: string, version: string) {
    super(`cannot open store "${root}": it has format ${JSON.stringify(version)}, which only a newer tsbuild knows`)
    this.root = root
    this.version = version
  }
}

/** The directory belongs to another user, or is something else than a store. */
export class NotOurStore extends TsbuildError {
  readonly code = 'STORAGE_NOT_OURS'
  readonly root: string

  constructor(root: string, problem: string) {
    super(`cannot open store "${root}": ${problem}`)
    this.root = root
  }
}

/** Its database is damaged, or the machine does not let it be made, read or written. */
export class StoreUnusable extends TsbuildError {
  readonly code = 'STORAGE_UNUSABLE'
  readonly root: string

  constructor(root: string, problem: string, options: ErrorOptions) {
    super(`cannot use store "${root}": ${problem}`, options)
    this.root = root
  }
}

/** Another process has held the database for longer than any of its transactions takes. */
export class StoreBusy extends TsbuildError {
  readonly code = 'STORAGE_BUSY'
  readonly root: string

  constructor(root: string, options: ErrorOptions) {
    super(`cannot write to store "${root}": another process has kept its database locked for ten seconds`, options)
    this.root = root
  }
}
