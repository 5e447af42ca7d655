import { describe, expect, it } from 'vitest'
import { expectReaders, makeSpendable, spend } from './spent-bytes.ts'

describe('bytes that are spendable', () => {
  it('are freed by the last of their readers', () => {
    const bytes = new Uint8Array(4096)
    makeSpendable(bytes)
    expectReaders(bytes, 2)
    spend(bytes)
    expect(bytes.byteLength).toBe(4096)
    spend(bytes)
    expect(bytes.byteLength).toBe(0)
    spend(bytes)
  })

  it('stay while nobody said how many read them', () => {
    const bytes = new Uint8Array(4096)
    makeSpendable(bytes)
    spend(bytes)
    expect(bytes.byteLength).toBe(4096)
  })

  it('stay when their giver did not say so, or their memory is not theirs alone', () => {
    const [given, part] = [new Uint8Array(4096), new Uint8Array(new ArrayBuffer(8192), 0, 4096)]
    makeSpendable(part)
    for (const bytes of [given, part]) {
      expectReaders(bytes, 1)
      spend(bytes)
      expect(bytes.byteLength).toBe(4096)
    }
  })
})
