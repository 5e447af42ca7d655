/** How long and how often. Every wait of the client has one of these ends. */
export interface Limits {
  /** Until a connection stands: name, TCP and TLS. */
  readonly connectMs: number
  /** From the end of a request to the first line of its answer. */
  readonly answerMs: number
  /** The same where the registry puts a whole blob together first. */
  readonly commitMs: number
  /** Without a byte, in either direction. */
  readonly idleMs: number
  /** For a whole small document: manifest, token, error. */
  readonly documentMs: number
  /** Slower than this over `idleMs` counts as stalled. */
  readonly minBytesPerSecond: number
  /** Tries of one request, and of a transfer without progress. */
  readonly attempts: number
  readonly backoffMs: number
  readonly maxBackoffMs: number
  /** A longer Retry-After is not waited for: the request fails and says how long it would be. */
  readonly maxRetryAfterMs: number
  /** For one request with all its repetitions. */
  readonly operationMs: number
}

export const defaultLimits: Limits = {
  connectMs: 15_000,
  answerMs: 60_000,
  commitMs: 300_000,
  idleMs: 30_000,
  documentMs: 60_000,
  minBytesPerSecond: 64,
  attempts: 5,
  backoffMs: 300,
  maxBackoffMs: 10_000,
  maxRetryAfterMs: 60_000,
  operationMs: 600_000,
}

export const maxTokenBytes = 1024 * 1024
export const maxErrorBytes = 64 * 1024
export const maxRedirects = 5
/** Interim answers (1xx) before an answer. */
export const maxInterimAnswers = 32
