import type { HelperProcess } from '../native/index.ts'

/** Why a container was made to end before its process did by itself. */
export interface Stop {
  readonly reason: 'timeout' | 'abort' | undefined
  /** Whether SIGTERM was not enough. */
  readonly wasKilled: boolean
  /** To be called when the container has ended. */
  release(): void
}

/** Whoever asks for the end gets it within a second, whatever the process thinks of signals. */
const graceMs = 800

/** Ends the container when its time is over or the signal aborts: SIGTERM to its process, then, after a grace, everything is killed. */
export function watchForStop(helper: HelperProcess, timeoutMs: number | undefined, signal: AbortSignal): Stop {
  let reason: Stop['reason']
  let wasKilled = false
  let grace: NodeJS.Timeout | undefined
  const stop = (why: 'timeout' | 'abort'): void => {
    if (reason !== undefined) return
    reason = why
    helper.kill('SIGTERM')
    grace = setTimeout(() => {
      wasKilled = true
      helper.kill('SIGALRM')
    }, graceMs)
  }
  const abort = (): void => { stop('abort') }
  const deadline = timeoutMs === undefined ? undefined : setTimeout(() => { stop('timeout') }, timeoutMs)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  return {
    get reason() { return reason },
    get wasKilled() { return wasKilled },
    release() {
      clearTimeout(deadline)
      clearTimeout(grace)
      signal.removeEventListener('abort', abort)
    },
  }
}
