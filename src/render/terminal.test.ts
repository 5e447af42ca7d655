import { Terminal } from '@xterm/headless'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { BuildEvent } from '../../builder/index.ts'
import { makePlan, started } from '../../test/support/build-events.ts'
import { TerminalRenderer } from './terminal.ts'
import type { TerminalStream } from './tree/live-region.ts'
import { symbolsFor, unstyled } from './tree/style.ts'

/** A terminal emulator's screen as the stream that is painted on. */
class Screen implements TerminalStream {
  readonly terminal: Terminal
  readonly #pending: Promise<void>[] = []

  constructor(columns: number, rows: number) {
    this.terminal = new Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 1000 })
  }

  write(text: string): void {
    this.#pending.push(new Promise((done) => { this.terminal.write(text, done) }))
  }

  getWindowSize(): [number, number] {
    return [this.terminal.cols, this.terminal.rows]
  }

  /** Everything on it and scrolled out of it, without blank lines at the end. */
  async lines(): Promise<string[]> {
    await Promise.all(this.#pending)
    const buffer = this.terminal.buffer.active
    const lines = Array.from({ length: buffer.length }, (_, index) => buffer.getLine(index)?.translateToString(true) ?? '')
    return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1)
  }
}

const startMs = 1_700_000_000_000
const at = (ms: number): void => { vi.setSystemTime(startMs + ms) }

function open(screen: Screen): { readonly renderer: TerminalRenderer; readonly tell: (...events: readonly BuildEvent[]) => void } {
  vi.useFakeTimers({ now: startMs, toFake: ['Date', 'setInterval', 'clearInterval'] })
  const renderer = new TerminalRenderer({ stream: screen, title: 'app:1', style: unstyled, symbols: symbolsFor({}) }).start()
  return { renderer, tell: (...events) => { for (const event of events) renderer.handle(event) } }
}

afterEach(() => { vi.useRealTimers() })

describe('the terminal renderer', () => {
  it('shows stages with their steps, the log of what runs, and what is transferred', async () => {
    const screen = new Screen(80, 24)
    const { renderer, tell } = open(screen)
    const plan = makePlan({ base: ['FROM debian:bookworm', 'RUN apt-get update'], 'stage-1': ['FROM scratch', 'COPY --from=base /usr /usr'] })
    tell(plan.event, started(plan.node(0), startMs), { type: 'node-finished', node: plan.node(0), outcome: 'cached', atMs: startMs, usage: undefined })
    tell(started(plan.node(1), startMs), { type: 'node-output', node: plan.node(1), stream: 'stdout', atMs: startMs, bytes: Buffer.from('Get:1 bookworm InRelease\r\n10%\r50%\t\u001B[31mred\u001B[0m') })
    at(1000)
    tell({ type: 'transfer-progressed', direction: 'pull', digest: plan.digest, doneBytes: 0, totalBytes: 100_000_000, outcome: 'running' })
    at(3200)
    tell({ type: 'transfer-progressed', direction: 'pull', digest: plan.digest, doneBytes: 50_000_000, totalBytes: 100_000_000, outcome: 'running' })
    renderer.paint()
    expect(await screen.lines()).toEqual([
      expect.stringMatching(/^[⠋⠙] app:1 {2}1\/4 steps, 1 cached {47}3\.2s$/u),
      '  ↓ 4f4f4f4f4f4f ━━━━━━━━────────    50MB / 100MB    22.7MB/s',
      '  base',
      '    ✔ 1/2 FROM debian:bookworm                                           cached',
      '    ● 2/2 RUN apt-get update                                               3.2s',
      '      │ Get:1 bookworm InRelease',
      '      │ 50%    red',
      '  stage-1',
      '    ○ 1/2 FROM scratch',
      '    ○ 2/2 COPY --from=base /usr /usr',
    ])
    await renderer.finish()
  })

  it('keeps 20 parallel steps on a screen of 24 rows, each on its line, however often it is painted', async () => {
    const screen = new Screen(80, 24)
    const { renderer, tell } = open(screen)
    const plan = makePlan(Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`stage-${index}`, [`FROM busybox`, `RUN work ${index} ${'x'.repeat(100)}`]])))
    tell(plan.event, ...Array.from({ length: 20 }, (_, index) => started(plan.node(index * 2 + 1), startMs)))
    for (let frame = 1; frame <= 50; frame += 1) {
      at(frame * 80)
      tell(...Array.from({ length: 20 }, (_, index): BuildEvent => ({ type: 'node-output', node: plan.node(index * 2 + 1), stream: 'stdout', atMs: startMs, bytes: Buffer.from(`line ${frame} ${'y'.repeat(200)}\n`) })))
      renderer.paint()
    }
    const lines = await screen.lines()
    expect(lines).toHaveLength(23)
    for (let index = 0; index < 20; index += 1) expect(lines.filter((line) => line.includes(`RUN work ${index} `))).toHaveLength(1)
    expect(lines.every((line) => line.length <= 79)).toBe(true)
    await renderer.finish()
  })

  it('takes a terminal of unknown size for one of 80 columns', async () => {
    const screen = new Screen(80, 24)
    const written = vi.spyOn(screen, 'write')
    vi.spyOn(screen, 'getWindowSize').mockReturnValue([0, 0])
    const { renderer, tell } = open(screen)
    const plan = makePlan({ base: ['FROM scratch', 'RUN make'] })
    tell(plan.event, started(plan.node(1), startMs))
    at(1000)
    vi.advanceTimersByTime(1000)
    await renderer.finish()
    expect(written.mock.calls.map(([text]) => text).join('')).not.toContain('Infinity')
    expect((await screen.lines()).join('\n')).toContain('RUN make')
  })

  it('says how many run that the screen has no room for', async () => {
    const screen = new Screen(80, 12)
    const { renderer, tell } = open(screen)
    const plan = makePlan({ all: Array.from({ length: 30 }, (_, index) => `RUN ${index}`) })
    tell(plan.event, ...Array.from({ length: 30 }, (_, index) => started(plan.node(index), startMs)))
    renderer.paint()
    const lines = await screen.lines()
    expect(lines).toHaveLength(11)
    expect(lines.at(-1)).toBe('  and 21 more running')
    await renderer.finish()
  })

  it.each([[80, 40], [80, 133], [120, 30]])('is whole after the window goes from %i to %i columns', async (before, after) => {
    const screen = new Screen(before, 30)
    screen.write('$ tsbuild .\r\n')
    const { renderer, tell } = open(screen)
    const plan = makePlan({ one: ['FROM busybox', `RUN ${'long '.repeat(40)}`], two: ['FROM busybox', 'RUN other'] })
    tell(plan.event, started(plan.node(1), startMs), started(plan.node(3), startMs), { type: 'node-output', node: plan.node(1), stream: 'stderr', atMs: startMs, bytes: Buffer.from(`${'wide '.repeat(50)}\n`) })
    renderer.paint()
    await screen.lines()
    screen.terminal.resize(after, 30)
    renderer.paint()
    const lines = await screen.lines()
    expect(lines[0]).toBe('$ tsbuild .')
    expect(lines.filter((line) => line.includes('app:1'))).toHaveLength(1)
    expect(lines).toHaveLength(9)
    await renderer.finish()
  })

  it('leaves the whole tree, the log of what failed and a summary, and the cursor visible', async () => {
    const screen = new Screen(80, 10)
    const { renderer, tell } = open(screen)
    const plan = makePlan({ build: [...Array.from({ length: 20 }, (_, index) => `RUN step ${index}`), 'RUN false'] })
    tell(plan.event)
    for (let index = 0; index < 20; index += 1) tell(started(plan.node(index), startMs), { type: 'node-finished', node: plan.node(index), outcome: 'executed', atMs: startMs + 700, usage: undefined })
    renderer.paint()
    tell(started(plan.node(20), startMs), { type: 'node-output', node: plan.node(20), stream: 'stderr', atMs: startMs, bytes: Buffer.from('it broke\n') })
    tell({ type: 'node-finished', node: plan.node(20), outcome: 'failed', atMs: startMs + 900, usage: undefined })
    tell({ type: 'build-finished', build: 'abcdef123456', outcome: 'failed', atMs: startMs + 1000, image: undefined, error: { code: 'X', message: 'no', step: undefined } })
    await renderer.finish()
    const lines = await screen.lines()
    expect(lines.slice(0, 2)).toEqual(['  build', '    ✔ 1/21 RUN step 0                                                      0.7s'])
    expect(lines.slice(21, 26)).toEqual([
      '    ✖ 21/21 RUN false                                                      0.9s',
      '      │ it broke',
      '✖ failed after 1.0s; tsbuild history logs abcdef123456 shows all of it',
      '  21 steps: 20 executed, 1 failed',
      '  slowest     0.7s  RUN step 0',
    ])
    expect(screen.terminal.buffer.active.cursorX).toBe(0)
  })
})
