import type { HttpAnswer } from '../http/message.ts'

/** How many pulls a registry says are left, of how many in which time. */
export interface RateLimit {
  readonly host: string
  readonly limit: number
  readonly remaining: number
  readonly windowSeconds: number | undefined
}

/** What registries last said of their limits. */
export interface RateLimits {
  note(host: string, answer: Pick<HttpAnswer, 'header'>): void
  list(): RateLimit[]
}

/** @see Docker Hub's `ratelimit-limit: 100;w=21600` */
export function createRateLimits(): RateLimits {
  const known = new Map<string, RateLimit>()
  return {
    note: (host, answer) => {
      const limit = parse(answer.header('ratelimit-limit'))
      const remaining = parse(answer.header('ratelimit-remaining'))
      if (limit === undefined || remaining === undefined) return
      known.set(host, { host, limit: limit.count, remaining: remaining.count, windowSeconds: remaining.windowSeconds ?? limit.windowSeconds })
    },
    list: () => [...known.values()],
  }
}

function parse(header: string | undefined): { count: number; windowSeconds: number | undefined } | undefined {
  const [, count, seconds] = /^\s*(\d{1,9})(?:\s*;\s*w=(\d{1,9}))?/u.exec(header ?? '') ?? []
  return count === undefined ? undefined : { count: Number(count), windowSeconds: seconds === undefined ? undefined : Number(seconds) }
}
