/** A stream whose writer waits for its reader, chunk by chunk. */
export interface Rendezvous<T> extends AsyncIterable<T> {
  /** Resolves when the reader asks for more. @returns false when nobody reads any more */
  push(item: T): Promise<boolean>
  /** No more will come; with an error, reading fails with it. */
  end(failure?: { readonly error: unknown }): void
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void
  readonly reject: (error: unknown) => void
}

/** For one writer, one reader. */
export function createRendezvous<T>(): Rendezvous<T> {
  let reader: Waiting<T> | undefined
  let offered: { readonly item: T; readonly taken: (wanted: boolean) => void } | undefined
  let ended: { readonly failure: { readonly error: unknown } | undefined } | undefined
  let isGone = false

  const next = (): Promise<IteratorResult<T, undefined>> => {
    if (offered !== undefined) {
      const { item, taken } = offered
      offered = undefined
      taken(true)
      return Promise.resolve({ done: false, value: item })
    }
    if (ended?.failure !== undefined) return Promise.reject(ended.failure.error)
    if (ended !== undefined || isGone) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => { reader = { resolve, reject } })
  }
  const leave = (): Promise<IteratorResult<T, undefined>> => {
    isGone = true
    offered?.taken(false)
    offered = undefined
    return Promise.resolve({ done: true, value: undefined })
  }
  return {
    [Symbol.asyncIterator]: () => ({ next, return: leave }),
    push: (item) => {
      if (isGone) return Promise.resolve(false)
      if (reader !== undefined) {
        reader.resolve({ done: false, value: item })
        reader = undefined
        return Promise.resolve(true)
      }
      return new Promise((taken) => { offered = { item, taken } })
    },
    end: (failure) => {
      ended = { failure }
      if (failure === undefined) reader?.resolve({ done: true, value: undefined })
      else reader?.reject(failure.error)
      reader = undefined
    },
  }
}
