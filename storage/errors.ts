import type { StatsFs } from 'node:fs'
import { TsbuildError } from '../core/errors.ts'
import type { ChainId, Digest, DiffId } from '../oci/digest.ts'
import type { ArchiveRule, TreeRule } from './tree/rules.ts'

/** The store has no such blob. */
export class BlobMissing extends TsbuildError {
  readonly code = 'STORAGE_BLOB_MISSING'
  readonly digest: Digest

  constructor(digest: Digest) {
    super(`cannot read blob "${digest}": it is not in the store`)
    this.digest = digest
  }
}

/** The store has no such layer, or not for this session any more. */
export class LayerMissing extends TsbuildError {
  readonly code = 'STORAGE_LAYER_MISSING'
  readonly chainId: ChainId

  constructor(chainId: ChainId) {
    super(`cannot use layer "${chainId}": it is not in the store`)
    this.chainId = chainId
  }
}

/** A stored layer no longer gives the bytes its diffID is over. fsck tells more. */
export class LayerDamaged extends TsbuildError {
  readonly code = 'STORAGE_LAYER_DAMAGED'
  readonly chainId: ChainId
  readonly diffId: DiffId
  /** undefined when the blob with the exact bytes is gone. */
  readonly actual: DiffId | undefined

  constructor(layer: { readonly chainId: ChainId; readonly diffId: DiffId }, actual: DiffId | undefined) {
    super(`cannot read layer "${layer.chainId}": ${actual === undefined ? 'the blob with its exact bytes is gone' : `its changeset has diffID "${actual}"`}, expected "${layer.diffId}"`)
    this.chainId = layer.chainId
    this.diffId = layer.diffId
    this.actual = actual
  }
}

/** A changeset is not the one it should be. Nothing was stored. */
export class DiffIdMismatch extends TsbuildError {
  readonly code = 'STORAGE_DIFFID_MISMATCH'
  readonly expected: DiffId
  readonly actual: DiffId

  constructor(expected: DiffId, actual: DiffId) {
    super(`cannot accept layer: its changeset has diffID "${actual}", expected "${expected}"`)
    this.expected = expected
    this.actual = actual
  }
}

/** An archive breaks a rule that keeps extraction safe and unambiguous. Nothing was stored. */
export class HostileArchive extends TsbuildError {
  readonly code = 'STORAGE_HOSTILE_ARCHIVE'
  readonly rule: ArchiveRule
  /** Counted from 0. */
  readonly entry: number
  /** What the rule is about: a path, a name of a header field. */
  readonly object: Buffer

  constructor(rule: ArchiveRule, entry: number, object: Buffer) {
    super(`cannot unpack archive: entry ${entry} ${JSON.stringify(object.toString('latin1'))} breaks the rule "${rule}"`)
    this.rule = rule
    this.entry = entry
    this.object = object
  }
}

/** A changeset cannot carry something of the tree, such as a file named `.wh.x`. */
export class Unrepresentable extends TsbuildError {
  readonly code = 'STORAGE_UNREPRESENTABLE'
  readonly rule: TreeRule | ArchiveRule
  readonly path: Buffer

  constructor(rule: TreeRule | ArchiveRule, path: Buffer) {
    super(`cannot write ${JSON.stringify(`/${path.toString('latin1')}`)} into a layer: it breaks the rule "${rule}"`)
    this.rule = rule
    this.path = path
  }
}

/** A file changed, or is no file any more, between its listing and its reading. Doing it again may help. */
export class SourceChanged extends TsbuildError {
  readonly code = 'STORAGE_SOURCE_CHANGED'
  /** Where it was to go. */
  readonly path: Buffer

  constructor(path: Buffer) {
    super(`cannot pack ${JSON.stringify(`/${path.toString('latin1')}`)}: the file changed while it was read`)
    this.path = path
  }
}

/** A system call on a tree failed; `cause` has the helper's report. */
export class TreeFailure extends TsbuildError {
  readonly code = 'STORAGE_TREE_FAILURE'
  /** `ENOENT` and the like. */
  readonly errnoName: string
  readonly path: string

  constructor(doing: string, failure: { readonly errnoName: string; readonly object: string }, options: ErrorOptions) {
    super(`cannot ${doing} ${JSON.stringify(failure.object)}: ${failure.errnoName}`, options)
    this.errnoName = failure.errnoName
    this.path = failure.object
  }
}

/** The helper ended without saying why, by a signal for example. */
export class HelperDied extends TsbuildError {
  readonly code = 'STORAGE_HELPER_DIED'
  readonly mode: string
  readonly signal: NodeJS.Signals | undefined

  constructor(mode: string, exit: { readonly exitCode: number | undefined; readonly signal: NodeJS.Signals | undefined }) {
    super(`helper "${mode}" ended with ${exit.signal ?? `exit code ${exit.exitCode ?? 'unknown'}`} and without a result`)
    this.mode = mode
    this.signal = exit.signal
  }
}

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

/** A policy asks for free inodes on a filesystem that makes as many as it needs. */
export class InodesUncounted extends TsbuildError {
  readonly code = 'STORAGE_INODES_UNCOUNTED'

  constructor() {
    super('cannot keep a number of inodes free: the filesystem of the store makes inodes as it needs them and cannot run out of them')
  }
}

/** A compressed stream is damaged, truncated, or followed by bytes that do not belong to it. */
export class MalformedCompression extends TsbuildError {
  readonly code = 'STORAGE_MALFORMED_COMPRESSION'
  readonly compression: 'gzip' | 'zstd'

  constructor(compression: 'gzip' | 'zstd', problem: string, options?: ErrorOptions) {
    super(`cannot decompress ${compression}: ${problem}`, options)
    this.compression = compression
  }
}

/** The engine that TSBUILD_GZIP asks for is unknown, or not on this machine. */
export class GzipEngineUnavailable extends TsbuildError {
  readonly code = 'STORAGE_GZIP_ENGINE_UNAVAILABLE'
  readonly asked: string

  constructor(asked: string, reason: string) {
    super(`cannot use TSBUILD_GZIP=${JSON.stringify(asked)}: ${reason}`)
    this.asked = asked
  }
}

/** A stream is larger than the caller allows. */
export class StreamTooLarge extends TsbuildError {
  readonly code = 'STORAGE_STREAM_TOO_LARGE'
  readonly maxBytes: number

  constructor(maxBytes: number) {
    super(`cannot take in stream: it has more than ${maxBytes} bytes`)
    this.maxBytes = maxBytes
  }
}

/** Layers cannot be kept, or mounted, that way here. */
export class FormatUnavailable extends TsbuildError {
  readonly code = 'STORAGE_FORMAT_UNAVAILABLE'
  readonly format: string
  readonly reason: string

  constructor(format: string, reason: string) {
    super(`cannot use layers of format "${format}": ${reason}`)
    this.format = format
    this.reason = reason
  }
}

/** Snapshots cannot be made that way here. */
export class DriverUnavailable extends TsbuildError {
  readonly code = 'STORAGE_DRIVER_UNAVAILABLE'
  readonly driver: string
  readonly reason: string

  constructor(driver: string, reason: string) {
    super(`cannot use storage driver "${driver}": ${reason}`)
    this.driver = driver
    this.reason = reason
  }
}

/** The index of a layer is not what this program wrote. fsck tells more; the layer can be indexed again. */
export class IndexDamaged extends TsbuildError {
  readonly code = 'STORAGE_INDEX_DAMAGED'
  readonly path: string

  constructor(path: string, problem: string) {
    super(`cannot read index "${path}": ${problem}`)
    this.path = path
  }
}

/** An image cannot be recorded before what it is made of is in the store and survives power loss. */
export class ImageIncomplete extends TsbuildError {
  readonly code = 'STORAGE_IMAGE_INCOMPLETE'
  readonly missing: string

  constructor(manifest: Digest, missing: string) {
    super(`cannot record image "${manifest}": ${missing}`)
    this.missing = missing
  }
}

/** More than one image id begins like this. */
export class AmbiguousId extends TsbuildError {
  readonly code = 'STORAGE_AMBIGUOUS_ID'
  readonly prefix: string
  readonly candidates: readonly Digest[]

  constructor(prefix: string, candidates: readonly Digest[]) {
    super(`cannot choose an image by "${prefix}": ${candidates.join(' and ')} begin with it`)
    this.prefix = prefix
    this.candidates = candidates
  }
}

/** Symbolic links of a root filesystem lead to each other, or through more than 40. */
export class LinkLoop extends TsbuildError {
  readonly code = 'STORAGE_LINK_LOOP'
  readonly path: Buffer

  constructor(path: Buffer) {
    super(`cannot resolve ${JSON.stringify(path.toString('latin1'))}: too many symbolic links`)
    this.path = path
  }
}

/** A path of a root filesystem is not what the caller can use. */
export class UnexpectedEntry extends TsbuildError {
  readonly code = 'STORAGE_UNEXPECTED_ENTRY'
  readonly path: Buffer
  readonly wanted: 'directory' | 'file'
  readonly found: string

  constructor(path: Buffer, wanted: 'directory' | 'file', found: string) {
    super(`cannot read ${JSON.stringify(path.toString('latin1'))}: it is ${found === 'missing' ? 'missing' : `a ${found}`}, expected a ${wanted}`)
    this.path = path
    this.wanted = wanted
    this.found = found
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
