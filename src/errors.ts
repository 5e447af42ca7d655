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
