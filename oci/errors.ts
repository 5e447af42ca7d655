import { TsbuildError } from '../core/errors.ts'

/** What a blob should have been; a Descriptor is one. */
export interface ExpectedBlob {
  readonly digest: string
  readonly size: number
}

/** What was found; `digest` is undefined when reading stopped at the first byte too many, or before the rest of something else. */
export interface ActualBlob {
  readonly digest: string | undefined
  readonly sizeBytes: number
}

/** A text that should be a digest is none. */
export class MalformedDigest extends TsbuildError {
  readonly code = 'OCI_MALFORMED_DIGEST'
  readonly text: string

  constructor(text: string) {
    super(`cannot read digest ${quote(text)}: want "sha256:" and 64 lower-case hexadecimal digits`)
    this.text = text
  }
}

/** A blob's bytes differ from its descriptor. Nothing was stored. Retrying another mirror may help. */
export class DigestMismatch extends TsbuildError {
  readonly code = 'OCI_DIGEST_MISMATCH'
  readonly expected: ExpectedBlob
  readonly actual: ActualBlob

  constructor(expected: ExpectedBlob, actual: ActualBlob) {
    super(`cannot accept blob "${expected.digest}": ${describeDifference(expected, actual)}`)
    this.expected = expected
    this.actual = actual
  }
}

function describeDifference(expected: ExpectedBlob, { digest, sizeBytes }: ActualBlob): string {
  if (digest === undefined) return sizeBytes > expected.size ? `got more than the ${expected.size} bytes expected` : `behind ${sizeBytes} bytes of it came something else`
  return sizeBytes === expected.size ? `its bytes have digest "${digest}"` : `got ${sizeBytes} bytes, expected ${expected.size}`
}

/** A manifest, index or image config breaks the specification or a limit of ours. */
export class MalformedDocument extends TsbuildError {
  readonly code = 'OCI_MALFORMED_DOCUMENT'
  /** What it should have been: `manifest`, `index`, `image config`, `platform`. */
  readonly kind: string
  readonly problem: string

  constructor(kind: string, problem: string, options?: ErrorOptions) {
    super(`cannot read ${kind}: ${problem}`, options)
    this.kind = kind
    this.problem = problem
  }
}

/** The document is of a kind we know of and do not support, such as Docker's schema 1. */
export class UnsupportedMediaType extends TsbuildError {
  readonly code = 'OCI_UNSUPPORTED_MEDIA_TYPE'
  readonly mediaType: string
  readonly advice: string

  constructor(mediaType: string, advice: string) {
    super(`cannot use media type ${quote(mediaType)}: ${advice}`)
    this.mediaType = mediaType
    this.advice = advice
  }
}

/** Quoted, escaped and cut to a length a message can carry. */
function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
}
