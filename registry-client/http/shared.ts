/** Does the work once for all who ask for the same key while it runs; nothing is kept once it settles. */
export type Shared<Value> = (key: string, work: () => Promise<Value>, signal: AbortSignal) => Promise<Value>

/** Each asker stops waiting when its own signal aborts. Work that ended because its first asker gave up is done anew for the others. */
export function createShared<Value>(): Shared<Value> {
  const running = new Map<string, { readonly result: Promise<Value>; readonly owner: AbortSignal }>()
  return async (key, work, signal) => {
    for (;;) {
      signal.throwIfAborted()
      const known = running.get(key)
      if (known === undefined) {
        const result = work().finally(() => running.delete(key))
        running.set(key, { result, owner: signal })
        return result
      }
      try {
        return await untilAborted(known.result, signal)
      } catch (error) {
        if (signal.aborted || !known.owner.aborted) throw error
      }
    }
  }
}

function untilAborted<Value>(result: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = (): void => { reject(signal.reason) }
    signal.addEventListener('abort', abort, { once: true })
    result.then(resolve, reject).finally(() => { signal.removeEventListener('abort', abort) })
  })
}
