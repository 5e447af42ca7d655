import type { BuildProgress, FinishedLayer, StepProgress } from '../../builder/index.ts'
import { formatBytes, formatElapsed, printable, shortId } from './format.ts'
import type { Style, Symbols } from './tree/style.ts'

export interface SummaryOptions {
  readonly style: Style
  readonly symbols: Symbols
  readonly columns: number
  /** Shortens a line to so many columns. */
  readonly cut: (line: string, columns: number) => string
  readonly startedAtMs: number
}

const slowestSteps = 3
const largestLayers = 5
/** A step faster than this is no news. */
const noticeableMs = 500
const noticeableThrottlingMs = 100

/** What there is to say about a build that has ended, in a few lines. */
export function summarize(progress: BuildProgress, options: SummaryOptions): string[] {
  const { finished } = progress
  if (finished === undefined) return []
  const facts = [countFact(progress), memoryFact(progress)].filter((fact) => fact !== undefined)
  return [
    headline(progress, options),
    ...fields('', facts.length === 0 ? [] : [facts.join(' · ')], options),
    ...fields('slowest', slowest(progress.steps).map((step) => `${formatElapsed(duration(step)).padStart(6)}  ${printable(step.label.source)}`), options),
    ...fields('throttled', throttled(progress.steps), options),
    ...fields('image', finished.image === undefined ? [] : imageFacts(finished.image.layers), options),
    ...fields('warnings', progress.warnings.length === 0 ? [] : [`${progress.warnings.length}: ${[...new Set(progress.warnings.map(({ rule }) => rule))].join(', ')}`], options),
  ]
}

function headline({ finished }: BuildProgress, { style, symbols, startedAtMs }: SummaryOptions): string {
  if (finished === undefined) return ''
  const took = formatElapsed(finished.atMs - startedAtMs)
  switch (finished.outcome) {
    case 'succeeded': {
      const { id, names } = finished.image ?? { id: '', names: [] }
      return `${style('green', symbols.done)} ${style('bold', names.length === 0 ? 'built' : names.join(', '))} ${shortId(id)} in ${took}`
    }
    case 'failed': return `${style('red', symbols.failed)} ${style('bold', 'failed')} after ${took}; tsbuild history logs ${finished.build} shows all of it`
    case 'canceled': return `${style('yellow', symbols.canceled)} ${style('bold', 'canceled')} after ${took}`
  }
}

/** A build that failed before it had a plan has no steps to tell of. */
function countFact({ steps }: BuildProgress): string | undefined {
  if (steps.length === 0) return undefined
  const counts = (['cached', 'executed', 'failed', 'canceled'] as const).map((state) => ({ state, count: steps.filter((step) => step.state === state).length })).filter(({ count }) => count > 0)
  return `${steps.length} ${steps.length === 1 ? 'step' : 'steps'}: ${counts.length === 0 ? 'none ended' : counts.map(({ state, count }) => `${count} ${state}`).join(', ')}`
}

function memoryFact({ steps }: BuildProgress): string | undefined {
  const peak = Math.max(0, ...steps.map(({ usage }) => usage?.memoryPeakBytes ?? 0))
  return peak === 0 ? undefined : `peak memory ${formatBytes(peak)}`
}

function slowest(steps: readonly StepProgress[]): StepProgress[] {
  return steps.filter((step) => step.state === 'executed' && duration(step) >= noticeableMs).sort((one, other) => duration(other) - duration(one)).slice(0, slowestSteps)
}

/** By the limit on processors, those that waited longest. */
function throttled(steps: readonly StepProgress[]): string[] {
  return steps.flatMap(({ label, usage }) => {
    const { cpuPeriods = 0, cpuThrottledPeriods = 0, cpuThrottledMs = 0 } = usage ?? {}
    return cpuThrottledMs < noticeableThrottlingMs ? [] : [{ cpuThrottledMs, line: `${formatElapsed(cpuThrottledMs).padStart(6)}  in ${cpuThrottledPeriods} of ${cpuPeriods} periods: ${printable(label.source)}` }]
  }).sort((one, other) => other.cpuThrottledMs - one.cpuThrottledMs).slice(0, slowestSteps).map(({ line }) => line)
}

function duration({ startedAtMs, endedAtMs }: StepProgress): number {
  return startedAtMs === undefined || endedAtMs === undefined ? 0 : endedAtMs - startedAtMs
}

function imageFacts(layers: readonly FinishedLayer[]): string[] {
  if (layers.length === 0) return []
  const total = layers.reduce((sum, layer) => ({ sizeBytes: sum.sizeBytes + layer.sizeBytes, inodes: sum.inodes + layer.inodes }), { sizeBytes: 0, inodes: 0 })
  const largest = [...layers].sort((one, other) => other.sizeBytes - one.sizeBytes).slice(0, largestLayers)
  return [
    `${formatBytes(total.sizeBytes)} and ${formatCount(total.inodes)} inodes in ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}${layers.length > largest.length ? ', the largest:' : ':'}`,
    ...largest.map((layer) => `${formatBytes(layer.sizeBytes).padStart(6)} ${formatCount(layer.inodes).padStart(7)}  ${layer.createdBy === '' ? '(its image does not say by what)' : printable(layer.createdBy).replaceAll(/\s+/gu, ' ')}`),
  ]
}

function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

function fields(name: string, lines: readonly string[], { style, columns, cut }: SummaryOptions): string[] {
  const width = name === '' ? 0 : 10
  return lines.map((line, index) => `  ${style('dim', (index === 0 ? name : '').padEnd(width))}${cut(line, columns - width - 2)}`)
}
