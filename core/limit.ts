/** Runs what it is given, at most `max` at a time, in the order given. */
export type Limit = <T>(work: () => Promise<T>) => Promise<T>

/**
 * A gate of `max` places. Work that waits for a place when `signal` aborts is never started and rejects with the
 * signal's reason; work already started has to watch the signal itself.
 */
export function createLimit(max: number, signal: AbortSignal): Limit {
  let running = 0
  const waiting: { start: () => void; refuse: (reason: unknown) => void }[] = []
  signal.addEventListener('abort', () => {
    for (const waiter of waiting.splice(0)) waiter.refuse(signal.reason)
  }, { once: true })

  const release = (): void => {
    const next = waiting.shift()
    if (next === undefined) running -= 1
    else next.start()
  }

  return async (work) => {
    signal.throwIfAborted()
    if (running < max) running += 1
    else await new Promise<void>((start, refuse) => waiting.push({ start, refuse }))
    try {
      return await work()
    } finally {
      release()
    }
  }
}

/**
 * `Promise.all` that does not leave siblings running: on the first failure `stop` is called with it, every item is
 * awaited, and that first failure is thrown.
 */
export async function allOrNone<T>(items: readonly Promise<T>[], stop: (reason: unknown) => void): Promise<T[]> {
  const failures: unknown[] = []
  const settled = items.map((item) => item.catch((error: unknown) => {
    failures.push(error)
    if (failures.length === 1) stop(error)
  }))
  await Promise.all(settled)
  if (failures.length > 0) throw failures[0]
  return Promise.all(items)
}
