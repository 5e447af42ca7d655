import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { makePlan, started } from '../../test/support/build-events.ts'
import { PlainRenderer } from './plain.ts'

const plan = makePlan({ one: ['RUN make'] })
const make = plan.node(0)

async function render(pieces: readonly Uint8Array[]): Promise<string[]> {
  const lines: string[] = []
  const renderer = new PlainRenderer((line) => lines.push(line))
  for (const event of [plan.event, started(make, 0)]) renderer.handle(event)
  for (const [index, bytes] of pieces.entries()) {
    // Lets the clock of the test run.
    if (index % 100 === 99) await setImmediate()
    renderer.handle({ type: 'node-output', node: make, stream: 'stdout', bytes, atMs: 1000 })
  }
  renderer.handle({ type: 'node-finished', node: make, outcome: 'executed', atMs: 2000, usage: undefined })
  return lines.slice(1, -1)
}

describe('the plain log', () => {
  it('puts lines together however their bytes come, the last one also without its end', async () => {
    const text = Buffer.from('one\n\nzwei ü\r\nthree\nfour')
    const expected = ['#1 1.00s one', '#1 1.00s ', '#1 1.00s zwei ü', '#1 1.00s three', '#1 2.00s four']
    for (const size of [1, 2, 3, 7, text.length]) {
      expect(await render(Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.subarray(index * size, (index + 1) * size)))).toEqual(expected)
    }
  })

  it('takes a line of many megabytes in small pieces', async () => {
    const piece = Buffer.alloc(16 * 1024, 'x')
    const [line = '', ...others] = await render([...Array.from({ length: 1500 }, () => piece), Buffer.from('\n')])
    expect([line.length, others]).toEqual(['#1 1.00s '.length + 1500 * piece.length, []])
  }, 10_000)
})
