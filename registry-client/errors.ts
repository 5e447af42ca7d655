import { TsbuildError } from '../core/errors.ts'
import type { DigestMismatch } from '../oci/errors.ts'

/** An image name does not follow the grammar of references. */
export class MalformedReference extends TsbuildError {
  readonly code = 'REGISTRY_MALFORMED_REFERENCE'
  readonly text: string

  constructor(text: string, problem: string) {
    super(`cannot read image name ${JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)}: ${problem}`)
    this.text = text
  }
}

/** A short name could mean images of several registries, and the configuration wants it to be said which. */
export class AmbiguousName extends TsbuildError {
  readonly code = 'REGISTRY_AMBIGUOUS_NAME'
  readonly candidates: readonly string[]

  constructor(text: string, candidates: readonly string[]) {
    super(`cannot resolve short name "${text}": short-name-mode is "enforcing" and it could be any of ${candidates.join(', ')}; write one of them`)
    this.candidates = candidates
  }
}

/** A configuration file is there and cannot be used. Contents of files with secrets are never part of the message. */
export class InvalidConfiguration extends TsbuildError {
  readonly code = 'REGISTRY_INVALID_CONFIGURATION'
  readonly path: string
  /** The key at fault, such as `registry[0].insecure`, when one is. */
  readonly key: string | undefined

  constructor(path: string, problem: { readonly key?: string; readonly text: string }) {
    super(`cannot use "${path}": ${problem.key === undefined ? '' : `${problem.key} `}${problem.text}`)
    this.path = path
    this.key = problem.key
  }
}

/** registries.conf forbids the image. */
export class RegistryBlocked extends TsbuildError {
  readonly code = 'REGISTRY_BLOCKED'
  readonly prefix: string

  constructor(name: string, rule: { readonly prefix: string; readonly path: string }) {
    super(`cannot use image "${name}": "${rule.path}" blocks "${rule.prefix}"`)
    this.prefix = rule.prefix
  }
}

/** The program that keeps the credentials did not give or take them. Its output is not repeated: it may hold secrets. */
export class CredentialHelperFailed extends TsbuildError {
  readonly code = 'REGISTRY_CREDENTIAL_HELPER_FAILED'
  readonly helper: string
  readonly registry: string

  constructor(helper: string, registry: string, problem: string) {
    super(`cannot get credentials for "${registry}" from ${JSON.stringify(helper)}: ${problem}`)
    this.helper = helper
    this.registry = registry
  }
}

export type UnreachableReason = 'dns' | 'refused' | 'reset' | 'timeout' | 'tls' | 'plain-http' | 'protocol' | 'proxy' | 'network'

/** No usable answer came: the name does not resolve, nothing listens, TLS failed, the connection broke or stalled. */
export class RegistryUnreachable extends TsbuildError {
  readonly code = 'REGISTRY_UNREACHABLE'
  readonly host: string
  readonly reason: UnreachableReason
  /** The system's or TLS library's own word: `ECONNREFUSED`, `CERT_HAS_EXPIRED`. */
  readonly detail: string
  /** Whether trying again may help. */
  readonly isTransient: boolean

  constructor(host: string, failure: { readonly reason: UnreachableReason; readonly detail: string; readonly text: string; readonly isTransient: boolean }) {
    super(`cannot reach "${host}": ${failure.text}`)
    this.host = host
    this.reason = failure.reason
    this.detail = failure.detail
    this.isTransient = failure.isTransient
  }
}

/** The registry wants other credentials than it got, or none will do. */
export class AccessDenied extends TsbuildError {
  readonly code = 'REGISTRY_ACCESS_DENIED'
  readonly host: string
  readonly hasCredentials: boolean

  constructor(what: string, host: string, denial: { readonly hasCredentials: boolean; readonly text: string }) {
    super(`cannot ${what}: "${host}" ${denial.text}; ${denial.hasCredentials ? 'the credentials stored for it are wrong or not enough' : `no credentials are stored for it, so it may be there for others or not at all; to log in: tsbuild login ${host}`}`)
    this.host = host
    this.hasCredentials = denial.hasCredentials
  }
}

/** The registry has no such manifest. */
export class ManifestUnknown extends TsbuildError {
  readonly code = 'REGISTRY_MANIFEST_UNKNOWN'
  readonly reference: string

  constructor(reference: string, host: string) {
    super(`cannot find image "${reference}": "${host}" has no such tag or digest`)
    this.reference = reference
  }
}

/** The registry has no such blob in the repository. */
export class BlobUnknown extends TsbuildError {
  readonly code = 'REGISTRY_BLOB_UNKNOWN'
  readonly digest: string
  readonly host: string

  constructor(digest: string, host: string) {
    super(`cannot find blob "${digest}": "${host}" does not have it`)
    this.digest = digest
    this.host = host
  }
}

/** The registry does not let anybody delete this. */
export class DeletionRefused extends TsbuildError {
  readonly code = 'REGISTRY_DELETION_REFUSED'
  readonly host: string

  constructor(what: string, host: string, cause: UnexpectedStatus) {
    super(`cannot ${what}: "${host}" has deletion turned off, which its administrator can change, or deletes manifests by digest alone`, { cause })
    this.host = host
  }
}

/** The registry answered with a status that does not do what was asked. */
export class UnexpectedStatus extends TsbuildError {
  readonly code = 'REGISTRY_UNEXPECTED_STATUS'
  readonly host: string
  readonly status: number
  /** The specification's error codes, `BLOB_UPLOAD_INVALID`. */
  readonly registryCodes: readonly string[]
  /** How long the registry asks to wait. */
  readonly retryAfterMs: number | undefined

  constructor(what: string, answer: { readonly host: string; readonly status: number; readonly registryCodes: readonly string[]; readonly text: string; readonly retryAfterMs: number | undefined }) {
    super(`cannot ${what}: "${answer.host}" answered ${answer.text}${answer.retryAfterMs === undefined ? '' : `; it asks to come again in ${Math.ceil(answer.retryAfterMs / 1000)} s`}`)
    this.host = answer.host
    this.status = answer.status
    this.registryCodes = answer.registryCodes
    this.retryAfterMs = answer.retryAfterMs
  }
}

/** The registry's answer breaks the protocol or a limit of ours. */
export class InvalidAnswer extends TsbuildError {
  readonly code = 'REGISTRY_INVALID_ANSWER'
  readonly host: string

  constructor(what: string, host: string, problem: string) {
    super(`cannot ${what}: "${host}" ${problem}`)
    this.host = host
  }
}

export type PointerKind = 'redirect' | 'token realm' | 'upload location'

/** The registry points to a place where a request of ours must not go. */
export class ForbiddenTarget extends TsbuildError {
  readonly code = 'REGISTRY_FORBIDDEN_TARGET'
  readonly host: string
  readonly kind: PointerKind
  /** Scheme, host and port only: paths and queries may hold secrets. */
  readonly target: string

  constructor(kind: PointerKind, host: string, refusal: { readonly target: string; readonly text: string }) {
    super(`cannot follow ${kind} of "${host}"${refusal.target === '' ? '' : ` to "${refusal.target}"`}: ${refusal.text}`)
    this.host = host
    this.kind = kind
    this.target = refusal.target
  }
}

/** A registry sent other bytes than the digest asked for. */
export class WrongContent extends TsbuildError {
  readonly code = 'REGISTRY_WRONG_CONTENT'
  readonly host: string
  /** Asking the client again will use another place that may have the right bytes. */
  readonly isWorthRetrying: boolean

  constructor(host: string, mismatch: DigestMismatch, isWorthRetrying: boolean) {
    super(`cannot pull from "${host}": ${mismatch.message}`, { cause: mismatch })
    this.host = host
    this.isWorthRetrying = isWorthRetrying
  }
}

/** A place that was tried and what went wrong there. */
export interface FailedPlace { readonly host: string; readonly error: unknown }

/** Every mirror and the registry itself failed; the cause is the last one's failure. */
export class AllPlacesFailed extends TsbuildError {
  readonly code = 'REGISTRY_ALL_PLACES_FAILED'
  readonly failures: readonly FailedPlace[]

  constructor(what: string, failures: readonly FailedPlace[]) {
    const lines = failures.map(({ host, error }) => `\n  ${host}: ${error instanceof Error ? error.message : String(error)}`)
    super(`cannot ${what} from any of ${failures.length} places:${lines.join('')}`, { cause: failures.at(-1)?.error })
    this.failures = failures
  }
}

/** The image exists, but not for the platform asked for. */
export class PlatformUnavailable extends TsbuildError {
  readonly code = 'REGISTRY_PLATFORM_UNAVAILABLE'
  readonly wanted: string
  readonly available: readonly string[]

  constructor(name: string, wanted: string, available: readonly string[]) {
    super(`cannot use image "${name}": it is for ${available.length === 0 ? 'no platform at all' : available.join(', ')}, wanted ${wanted}`)
    this.wanted = wanted
    this.available = available
  }
}

/** The bytes to upload are not those of the descriptor: shorter or longer. */
export class SourceMismatch extends TsbuildError {
  readonly code = 'REGISTRY_SOURCE_MISMATCH'
  readonly expectedBytes: number

  constructor(what: string, sizes: { readonly expectedBytes: number; readonly actualBytes: number }) {
    super(`cannot ${what}: its source gave ${sizes.actualBytes} bytes, expected ${sizes.expectedBytes}`)
    this.expectedBytes = sizes.expectedBytes
  }
}
