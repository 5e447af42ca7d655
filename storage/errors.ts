import { TsbuildError } from '../core/errors.ts'
import type { ChainId, Digest, DiffId } from '../oci/digest.ts'

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

/** A policy asks for free inodes on a filesystem that makes as many as it needs. */
export class InodesUncounted extends TsbuildError {
  readonly code = 'STORAGE_INODES_UNCOUNTED'

  constructor() {
    super('cannot keep a number of inodes free: the filesystem of the store makes inodes as it needs them and cannot run out of them')
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
