import { describe, expect, it } from 'vitest'
import { goDuration, goQuotedRune } from './go-format.ts'

describe('values as Go prints them', () => {
  it.each([[0, '0s'], [5e9, '5s'], [60e9, '1m0s'], [3600e9, '1h0m0s'], [3_661_500_000_000, '1h1m1.5s'], [200e6, '200ms'], [1500, '1.5µs'], [3, '3ns']])('%d ns', (nanoseconds, text) => {
    expect(goDuration(nanoseconds)).toBe(text)
  })

  it.each([[0, "'\\x00'"], [4, "'\\x04'"], [10, "'\\n'"], [65, "'A'"], [39, "'\\''"], [127, "'\\x7f'"]])('character %d', (number, text) => {
    expect(goQuotedRune(number)).toBe(text)
  })
})
