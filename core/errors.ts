/**
 * Base of every error tsbuild throws on purpose. `code` is stable and prefixed by folder (`OCI_DIGEST_MISMATCH`);
 * decisions are taken on `code` and data fields, never on `message`.
 */
export abstract class TsbuildError extends Error {
  abstract readonly code: string

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** The work was given up because somebody asked for it: Ctrl-C, a deadline, or the failure of a sibling. */
export class Canceled extends TsbuildError {
  readonly code = 'CORE_CANCELED'
  /** What asked: `SIGINT`, `SIGTERM`, `timeout`, `sibling-failed`. */
  readonly reason: string

  constructor(reason: string, options?: ErrorOptions) {
    super(`canceled by ${reason}`, options)
    this.reason = reason
  }
}

/** An error from the operating system, as Node or the native addon throws it. */
export interface ErrnoError extends Error {
  readonly code: string
  readonly errno?: number
  readonly syscall?: string
  readonly path?: string
}

export function isErrno(error: unknown, ...codes: readonly string[]): error is ErrnoError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
}

/** Marks a branch that the types rule out; reaching it is a bug of ours. */
export function unreachable(value: never): never {
  throw new TypeError(`unreachable value ${JSON.stringify(value)}`)
}
