import { describe, expect, it } from 'vitest'
import { WireReader, WireWriter } from './wire.ts'

describe('WireWriter', () => {
  it('writes frames that say how long they are, and starts anew after each take', () => {
    const writer = new WireWriter()
    const first = writer.frame(() => writer.u8(1).bytes('ab')).take()
    const second = writer.frame(() => writer.raw(Buffer.alloc(10_000, 'x'))).take()
    expect(Buffer.from(first).toString('latin1')).toBe('TSB1\x08\0\0\0\x01\x02\0\0\0ab\0')
    expect(second.byteLength).toBe(10_004)
    expect(new WireReader(second).u32()).toBe(10_000)
    expect(writer.length).toBe(0)
  })

  it('writes texts of every script as UTF-8, however long', () => {
    for (const text of ['', 'a', 'é€😀', '\ud800', '€'.repeat(20_000)]) {
      const bytes = Buffer.from(text)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(bytes.length)
      expect(new WireWriter().bytes(text).finish().subarray(4), text.slice(0, 9)).toEqual(Buffer.concat([length, bytes, Buffer.of(0)]))
    }
  })
})
