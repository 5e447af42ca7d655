import { describe, expect, it } from 'vitest'
import { parseDuration } from './duration.ts'

const place = { source: { name: 'Dockerfile', text: '' }, range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 1 } }

describe('parseDuration', () => {
  it.each([
    ['0', 0], ['+0', 0], ['1ns', 1], ['1us', 1000], ['1µs', 1000], ['1μs', 1000], ['1ms', 1e6], ['30s', 30e9], ['1m30s', 90e9], ['1.5h', 5400e9], ['.5s', 5e8], ['1.s', 1e9],
    ['1h1m1s1ms', 3661001e6], ['-1s', -1e9], ['+1s', 1e9], ['1s1s', 2e9], ['0.000000001s', 1], ['0.0000000019s', 1],
  ])('%s is %d ns', (text, nanoseconds) => {
    expect(parseDuration(text, place)).toBe(nanoseconds)
  })

  it.each(['', '1', '1.5', 's', '1d', '1 s', '1s ', '1sm', '--1s', '1.2.3s', '9999999h', '$x', '1e3s', 'NONE', `${'9'.repeat(50_000)}s`])('refuses %j', (text) => {
    expect(() => parseDuration(text, place)).toThrow(expect.objectContaining({ rule: 'duration' }))
  })
})
