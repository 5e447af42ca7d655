import { describe, expect, it } from 'vitest'
import { createRendezvous } from './rendezvous.ts'

describe('a rendezvous', () => {
  it('hands each item over when it is asked for, and ends', async () => {
    const stream = createRendezvous<number>()
    const order: string[] = []
    const writing = (async () => {
      for (const item of [1, 2, 3]) {
        expect(await stream.push(item)).toBe(true)
        order.push(`pushed ${item}`)
      }
      stream.end()
    })()
    for await (const item of stream) order.push(`got ${item}`)
    await writing
    expect(order.filter((line) => line.startsWith('got'))).toEqual(['got 1', 'got 2', 'got 3'])
    expect(order.indexOf('pushed 3')).toBeGreaterThan(order.indexOf('got 2'))
  })

  it('tells the writer when nobody reads any more', async () => {
    const stream = createRendezvous<number>()
    const first = stream.push(1)
    for await (const item of stream) {
      expect(item).toBe(1)
      break
    }
    expect(await first).toBe(true)
    expect(await stream.push(2)).toBe(false)
    const waiting = createRendezvous<number>()
    const offered = waiting.push(1)
    await waiting[Symbol.asyncIterator]().return?.()
    expect(await offered).toBe(false)
  })

  it('fails the reader with the failure of the writer', async () => {
    const stream = createRendezvous<number>()
    const reading = stream[Symbol.asyncIterator]().next()
    stream.end({ error: new RangeError('broken') })
    await expect(reading).rejects.toBeInstanceOf(RangeError)
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toBeInstanceOf(RangeError)
  })
})
