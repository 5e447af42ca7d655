import { setTimeout as delay } from 'node:timers/promises'
import { RegistryUnreachable, UnexpectedStatus } from '../errors.ts'
import type { Limits } from './limits.ts'

/** Answers that say "not now" rather than "no". */
const passingStatuses: readonly number[] = [408, 425, 429, 500, 502, 503, 504]

export function isPassingStatus(status: number): boolean {
  return passingStatuses.includes(status)
}

/** Whether the same request may succeed later. */
export function isTransient(error: unknown): boolean {
  if (error instanceof RegistryUnreachable) return error.isTransient
  return error instanceof UnexpectedStatus && isPassingStatus(error.status)
}

/** When requests to an origin may go on: one answer that asks for patience makes all that are about to be sent there wait. */
export interface Pacing {
  wait(origin: string, signal: AbortSignal): Promise<void>
  hold(origin: string, ms: number): void
}

export function createPacing(): Pacing {
  const resumesAtMs = new Map<string, number>()
  return {
    wait: async (origin, signal) => {
      for (;;) {
        const remainingMs = (resumesAtMs.get(origin) ?? 0) - performance.now()
        if (remainingMs <= 0) return
        await pause(remainingMs, signal)
      }
    },
    hold: (origin, ms) => {
      resumesAtMs.set(origin, Math.max(resumesAtMs.get(origin) ?? 0, performance.now() + ms))
    },
  }
}

export interface Persistence {
  readonly origin: string
  readonly attempts: number
  readonly limits: Limits
  readonly pacing: Pacing
}

/**
 * Does the work again while its failure is a passing one, with growing pauses that differ between processes, or the
 * pause the registry asks for. Gives up after `attempts` tries, after `operationMs`, or when asked to wait for too long.
 */
export async function persist<T>(work: () => Promise<T>, { origin, attempts, limits, pacing }: Persistence, signal: AbortSignal): Promise<T> {
  const endsAtMs = performance.now() + limits.operationMs
  for (let attempt = 1; ; attempt += 1) {
    await pacing.wait(origin, signal)
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      const waitMs = isTransient(error) ? waitBefore(attempt, error, limits) : undefined
      if (waitMs === undefined || performance.now() + waitMs > endsAtMs) throw error
      const isHeld = asksForPatience(error)
      // A caller that asks once only goes on in a way of its own, but no sooner than others.
      if (isHeld && (attempts === 1 || attempt < attempts)) pacing.hold(origin, waitMs)
      if (attempt >= attempts) throw error
      if (!isHeld) await pause(waitMs, signal)
    }
  }
}

function asksForPatience(error: unknown): boolean {
  return error instanceof UnexpectedStatus && (error.status === 429 || error.retryAfterMs !== undefined)
}

/** undefined when the registry asks for more patience than we have. */
export function waitBefore(attempt: number, error: unknown, limits: Limits): number | undefined {
  const askedMs = error instanceof UnexpectedStatus ? error.retryAfterMs ?? 0 : 0
  return askedMs > limits.maxRetryAfterMs ? undefined : Math.max(askedMs, backoff(attempt, limits))
}

export function backoff(attempt: number, { backoffMs, maxBackoffMs }: Limits): number {
  return Math.min(maxBackoffMs, backoffMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2)
}

/** Rejects with the signal's own reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

/** The Retry-After header, in seconds or as a date; undefined when it is absent or says neither. @see RFC 9110, 10.2.3 */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d+$/u.test(text)) return Number(text) * 1000
  const dateMs = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/u.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs)
}
