/** Shares one promise among callers that ask for the same key at the same time; nothing is kept once it settles. */
export function createSingleflight<Key, Value>(): (key: Key, work: () => Promise<Value>) => Promise<Value> {
  const inFlight = new Map<Key, Promise<Value>>()
  return (key, work) => {
    const found = inFlight.get(key)
    if (found !== undefined) return found
    const started = work().finally(() => inFlight.delete(key))
    inFlight.set(key, started)
    return started
  }
}
