import type { BuildEvent, BuildRecord, DescribedLayers, StepProgress } from '../../builder/index.ts'
import { BuildProgress } from '../../builder/index.ts'
import { describeCause, describeRebase } from '../render/miss-causes.ts'
import { shownLine } from '../render/tree/log-tail.ts'

/** What a report page shows: plain data, written into the page. Times are milliseconds since the build began. */
export interface ReportData {
  readonly title: string
  readonly createdAtMs: number
  readonly build: ReportedBuild | undefined
  readonly image: ReportedImage | undefined
}

export interface ReportedBuild {
  readonly id: string
  readonly outcome: BuildRecord['outcome']
  readonly startedAtMs: number
  readonly durationMs: number
  readonly command: string | undefined
  readonly error: string | undefined
  readonly steps: readonly ReportedStep[]
  readonly warnings: readonly { readonly rule: string; readonly message: string }[]
}

export interface ReportedStep {
  readonly number: number
  readonly stage: string
  /** `2/7`. */
  readonly count: string
  readonly source: string
  readonly place: string
  readonly state: StepProgress['state']
  readonly startMs: number | undefined
  readonly endMs: number | undefined
  /** Why it was not found in the cache, or what is to say of how it was. */
  readonly cause: string | undefined
  readonly memoryPeakBytes: number | undefined
  readonly cpuMs: number | undefined
  /** For how long the limit on processors held it back. */
  readonly throttledMs: number | undefined
  readonly samples: readonly { readonly atMs: number; readonly memoryBytes: number | undefined; readonly cpuMs: number; readonly processes: number }[]
  readonly log: string
  /** Bytes of the log that are left out in front. */
  readonly logCutBytes: number
}

export interface ReportedImage extends DescribedLayers {
  readonly id: string
  readonly names: readonly string[]
}

/** A page has to stay readable; the whole log is in the build's record. */
const shownLogBytes = 64 * 1024

interface StepFacts {
  readonly samples: Extract<BuildEvent, { type: 'usage-sampled' }>[]
  readonly log: Buffer[]
  cause: string | undefined
}

export function reportBuild(record: BuildRecord, events: readonly BuildEvent[], command: string | undefined): ReportedBuild {
  const progress = new BuildProgress()
  const facts = new Map<string, StepFacts>()
  const factsOf = (node: string): StepFacts => {
    const found = facts.get(node) ?? { samples: [], log: [], cause: undefined }
    facts.set(node, found)
    return found
  }
  for (const event of events) {
    progress.handle(event)
    if (event.type === 'usage-sampled') factsOf(event.node).samples.push(event)
    if (event.type === 'node-output') factsOf(event.node).log.push(Buffer.from(event.bytes))
    if (event.type === 'cache-missed') factsOf(event.node).cause = describeCause(event.cause)
    if (event.type === 'layer-rebased') factsOf(event.node).cause = describeRebase(event)
  }
  const lastMs = Math.max(record.startedAtMs, ...progress.steps.map(({ endedAtMs, startedAtMs }) => endedAtMs ?? startedAtMs ?? 0))
  return {
    id: record.id, outcome: record.outcome, startedAtMs: record.startedAtMs, durationMs: (record.endedAtMs ?? lastMs) - record.startedAtMs, command, error: record.error,
    steps: progress.steps.map((step, index) => reportStep(step, { number: index + 1, facts: factsOf(step.node), startedAtMs: record.startedAtMs })),
    warnings: progress.warnings.map(({ rule, message }) => ({ rule, message })),
  }
}

function reportStep({ label, state, startedAtMs, endedAtMs, usage }: StepProgress, { number, facts, startedAtMs: buildMs }: { readonly number: number; readonly facts: StepFacts; readonly startedAtMs: number }): ReportedStep {
  const log = Buffer.concat(facts.log)
  const shown = log.subarray(Math.max(0, log.length - shownLogBytes))
  return {
    number, stage: label.stage, count: `${label.step}/${label.steps}`, source: label.source, place: `${label.place.source.name}:${label.place.range.startLine}`, state,
    startMs: startedAtMs === undefined ? undefined : startedAtMs - buildMs, endMs: endedAtMs === undefined ? undefined : endedAtMs - buildMs,
    cause: facts.cause, memoryPeakBytes: usage?.memoryPeakBytes, cpuMs: usage?.cpuMs, throttledMs: usage?.cpuThrottledMs,
    samples: facts.samples.map(({ atMs, memoryBytes, cpuMs, processes }) => ({ atMs: atMs - buildMs, memoryBytes, cpuMs, processes })),
    log: shown.toString('utf8').split('\n').map(shownLine).join('\n'), logCutBytes: log.length - shown.length,
  }
}
