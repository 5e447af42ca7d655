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

/** SIGKILL did not end a container in time: the kernel lets no process go that waits for a device, or is frozen. */
export class StopFailed extends TsbuildError {
  readonly code = 'CLI_STOP_FAILED'
  readonly container: string

  constructor(container: string, { afterMs, process }: { readonly afterMs: number; readonly process: { readonly pid: number; readonly state: string } | undefined }) {
    super(`cannot stop container "${container}": ${process === undefined ? 'its supervisor has not said that it ended' : `process ${process.pid} is still there, in state ${process.state},`} ${afterMs / 1000} s after SIGKILL; it ends once the kernel lets it go`)
    this.container = container
  }
}
