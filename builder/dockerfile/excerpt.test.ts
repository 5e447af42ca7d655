import { describe, expect, it } from 'vitest'
import { excerptOf } from './excerpt.ts'

type Corners = readonly [startLine: number, startColumn: number, endLine: number, endColumn: number]
const at = (text: string, ...[startLine, startColumn, endLine, endColumn]: Corners): ReturnType<typeof excerptOf> =>
  excerptOf({ source: { name: 'Dockerfile', text }, range: { startLine, startColumn, endLine, endColumn } })

describe('excerptOf', () => {
  it('shows two lines before and underlines the place', () => {
    expect(at('a\nb\nc\nRUN xx yy\nd', 4, 4, 4, 6)).toEqual([
      { number: 2, text: 'b', underline: undefined }, { number: 3, text: 'c', underline: undefined }, { number: 4, text: 'RUN xx yy', underline: { start: 4, end: 6 } },
    ])
  })

  it('underlines every line of a place that spans several, without their indentation', () => {
    expect(at('RUN a \\\n  bb \\\n  cc', 1, 4, 3, 4).map(({ underline }) => underline)).toEqual([{ start: 4, end: 7 }, { start: 2, end: 6 }, { start: 2, end: 4 }])
  })

  it('underlines at least one column', () => {
    expect(at('', 1, 0, 1, 0)).toEqual([{ number: 1, text: '', underline: { start: 0, end: 1 } }])
  })

  it('cuts a long line to a window that holds the place', () => {
    const [line] = at(`${'x'.repeat(5000)}HERE${'y'.repeat(5000)}`, 1, 5000, 1, 5004)
    expect(line?.text.length).toBeLessThanOrEqual(160)
    expect(line?.text.slice(line.underline?.start, line.underline?.end)).toBe('HERE')
    expect([line?.text.at(0), line?.text.at(-1)]).toEqual(['…', '…'])
  })

  it('shows at most eight lines of the place', () => {
    expect(at('x\n'.repeat(100), 10, 0, 90, 1)).toHaveLength(10)
  })

  it('lets no control character through to the terminal', () => {
    expect(at('RUN \u001b[2J\u202e\r\tx', 1, 0, 1, 3)[0]?.text).toBe('RUN  [2J   x')
  })
})
