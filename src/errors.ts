import { TsbuildError } from '../core/errors.ts'

/** The command line does not say what to do. */
export class UsageError extends TsbuildError {
  readonly code = 'CLI_USAGE'
  /** Whose help to point to. */
  readonly command: string | undefined

  constructor(message: string, command?: string) {
    super(message)
    this.command = command
  }
}

/** The supervisor of a detached container could not start it. */
export class DetachedFailed extends TsbuildError {
  readonly code = 'CLI_DETACHED_FAILED'
  readonly container: string

  constructor(container: string, problem: string) {
    super(`cannot start container "${container}": ${problem === '' ? 'its supervisor ended without a word' : problem}`)
    this.container = container
  }
}
