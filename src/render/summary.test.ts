import { expect, it } from 'vitest'
import type { BuildEvent } from '../../builder/index.ts'
import { BuildProgress } from '../../builder/index.ts'
import type { UsageReport } from '../../runtime/index.ts'
import { makePlan, started } from '../../test/support/build-events.ts'
import { summarize } from './summary.ts'
import { cutTo } from './tree/fit.ts'
import { symbolsFor, unstyled } from './tree/style.ts'

const usage: UsageReport = {
  wallMs: 0, memoryPeakBytes: 50_000_000, memoryCurrentBytes: undefined, oomKills: 0, cpuMs: 900, cpuPeriods: 40, cpuThrottledPeriods: 12, cpuThrottledMs: 1340,
  pidsPeak: 1, pidsDenied: undefined, ioReadBytes: 0, ioWriteBytes: 1, ioReads: 0, ioWrites: 1, pressure: { cpuMs: 1.5, memoryMs: 0, ioMs: 0 },
}

it('the summary has steps by outcome, time, what was slowest, peak memory, throttling, layers and warnings', () => {
  const plan = makePlan({ base: ['FROM busybox', 'RUN make all', 'RUN make small'] })
  const progress = new BuildProgress()
  const finished = (node: number, outcome: 'cached' | 'executed', atMs: number, used?: UsageReport): BuildEvent => ({ type: 'node-finished', node: plan.node(node), outcome, atMs, usage: used })
  const layers = [{ createdBy: '', diffId: plan.digest, sizeBytes: 2_000_000, inodes: 300 }, { createdBy: 'RUN make all', diffId: plan.digest, sizeBytes: 7_000_000, inodes: 1200 }]
  const events: readonly BuildEvent[] = [
    plan.event, started(plan.node(0), 0), finished(0, 'cached', 0), started(plan.node(1), 0), finished(1, 'executed', 4200, usage), started(plan.node(2), 4200), finished(2, 'executed', 4300, { ...usage, memoryPeakBytes: 1, cpuThrottledMs: 50 }),
    { type: 'warning-raised', rule: 'CpuThrottled', message: 'x', range: undefined }, { type: 'warning-raised', rule: 'CpuThrottled', message: 'y', range: undefined },
    { type: 'build-finished', build: 'abc', outcome: 'succeeded', atMs: 4400, image: { id: plan.digest, names: ['app:1'], layers }, error: undefined },
  ]
  for (const event of events) progress.handle(event)
  expect(summarize(progress, { style: unstyled, symbols: symbolsFor({ TERM: 'dumb' }), columns: 80, startedAtMs: 0, cut: cutTo }).map((line) => line.trimEnd())).toEqual([
    '+ app:1 4f4f4f4f4f4f in 4.4s',
    '  3 steps: 1 cached, 2 executed · peak memory 50MB',
    '  slowest     4.2s  RUN make all',
    '  throttled   1.3s  in 12 of 40 periods: RUN make all',
    '  image     9MB and 1,500 inodes in 2 layers:',
    '               7MB   1,200  RUN make all',
    '               2MB     300  (its image does not say by what)',
    '  warnings  2: CpuThrottled',
  ])
})

it('the summary of a build that was stopped before any step ended says so', () => {
  const progress = new BuildProgress()
  const plan = makePlan({ base: ['FROM busybox', 'RUN make all'] })
  for (const event of [plan.event, { type: 'build-finished', build: 'abc', outcome: 'canceled', atMs: 20, image: undefined, error: undefined }] as const) progress.handle(event)
  expect(summarize(progress, { style: unstyled, symbols: symbolsFor({ TERM: 'dumb' }), columns: 80, startedAtMs: 0, cut: cutTo })).toContain('  2 steps: none ended')
})

it('the summary of a build that failed before it had a plan says nothing of steps', () => {
  const progress = new BuildProgress()
  progress.handle({ type: 'build-finished', build: 'abc', outcome: 'failed', atMs: 20, image: undefined, error: { code: 'BUILDER_DOCKERFILE', message: 'no', step: undefined } })
  expect(summarize(progress, { style: unstyled, symbols: symbolsFor({ TERM: 'dumb' }), columns: 80, startedAtMs: 0, cut: cutTo })).toHaveLength(1)
})
