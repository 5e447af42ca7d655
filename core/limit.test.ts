import { describe, expect, it } from 'vitest'
import { allOrNone, createLimit } from './limit.ts'

function defer(): PromiseWithResolvers<undefined> {
  return Promise.withResolvers<undefined>()
}

describe('createLimit', () => {
  it('runs no more than the given number at a time, in order', async () => {
    const limit = createLimit(2, new AbortController().signal)
    const gates = [defer(), defer(), defer()]
    const started: number[] = []
    const all = gates.map((gate, index) => limit(async () => {
      started.push(index)
      await gate.promise
    }))
    await Promise.resolve()
    expect(started).toEqual([0, 1])
    gates[1]?.resolve(undefined)
    await all[1]
    await Promise.resolve()
    expect(started).toEqual([0, 1, 2])
    gates[0]?.resolve(undefined)
    gates[2]?.resolve(undefined)
    await Promise.all(all)
  })

  it('gives a place back when work fails', async () => {
    const limit = createLimit(1, new AbortController().signal)
    await expect(limit(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    await expect(limit(() => Promise.resolve('next'))).resolves.toBe('next')
  })

  it('never starts what waits when the signal aborts', async () => {
    const controller = new AbortController()
    const limit = createLimit(1, controller.signal)
    const gate = defer()
    const first = limit(() => gate.promise)
    let isStarted = false
    const second = limit(() => {
      isStarted = true
      return Promise.resolve()
    })
    controller.abort(new Error('stop'))
    await expect(second).rejects.toThrow('stop')
    gate.resolve(undefined)
    await first
    expect(isStarted).toBe(false)
  })
})

describe('allOrNone', () => {
  it('waits for every item before it throws the first failure', async () => {
    const slow = defer()
    const stopped: unknown[] = []
    const all = allOrNone([slow.promise, Promise.reject(new Error('first'))], (reason) => stopped.push(reason))
    let isSettled = false
    void all.catch(() => { isSettled = true })
    await new Promise((resolve) => setImmediate(resolve))
    expect(stopped).toMatchObject([{ message: 'first' }])
    expect(isSettled).toBe(false)
    slow.reject(new Error('second'))
    await expect(all).rejects.toThrow('first')
  })

  it('gives the values in order', async () => {
    await expect(allOrNone([Promise.resolve(1), Promise.resolve(2)], () => undefined)).resolves.toEqual([1, 2])
  })
})
