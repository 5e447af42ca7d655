import { closeSync } from 'node:fs'
import { isErrno } from '../core/errors.ts'
import type { HelperProcess, HelperReport, PreparedHelper } from '../native/index.ts'
import { getAddon, prepareHelper } from '../native/index.ts'

/** With the read ends of the pipes that are its standard output and error. */
interface Piped<Helper> {
  readonly helper: Helper
  readonly stdout: number
  readonly stderr: number
}

/**
 * Helpers for containers that run one after the other: while one runs, the next helper is started, which takes a tenth of the time
 * that a container does. It has no namespace and no cgroup yet, and waits for its request.
 */
export class HelperReserve implements AsyncDisposable {
  #waiting: Piped<PreparedHelper> | undefined
  #isOver = false

  /** The caller closes the pipes. */
  start(request: Uint8Array, onReport: (report: HelperReport) => void): Piped<HelperProcess> {
    const waiting = this.#waiting
    this.#waiting = undefined
    try {
      return startPiped(waiting ?? prepare(), request, onReport)
    } catch (error) {
      // Somebody ended it while it waited.
      if (waiting === undefined || !isErrno(error, 'EPIPE')) throw error
      return startPiped(prepare(), request, onReport)
    } finally {
      this.#refill()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) return
    close(waiting)
    await waiting.helper.end()
  }

  #refill(): void {
    if (this.#isOver || this.#waiting !== undefined) return
    try {
      this.#waiting = prepare()
    } catch {
      // Nobody needs it yet; whoever does tries again, and is told.
    }
  }
}

function prepare(): Piped<PreparedHelper> {
  const [stdout, helperStdout] = getAddon().pipe(0)
  const [stderr, helperStderr] = getAddon().pipe(0)
  try {
    return { helper: prepareHelper({ mode: 'run', stdio: [-1, helperStdout, helperStderr] }), stdout, stderr }
  } catch (error) {
    close({ stdout, stderr })
    throw error
  } finally {
    close({ stdout: helperStdout, stderr: helperStderr })
  }
}

function startPiped(piped: Piped<PreparedHelper>, request: Uint8Array, onReport: (report: HelperReport) => void): Piped<HelperProcess> {
  try {
    return { ...piped, helper: piped.helper.start(request, onReport) }
  } catch (error) {
    close(piped)
    throw error
  }
}

function close({ stdout, stderr }: Pick<Piped<unknown>, 'stdout' | 'stderr'>): void {
  closeSync(stdout)
  closeSync(stderr)
}
