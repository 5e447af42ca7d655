import uPlot from 'uplot'
import { formatBytes } from '../../render/format.ts'
import type { ReportedStep } from '../report-data.ts'
import { element } from './element.ts'

/** Memory and processors over the time of a step. */
export function usageChart({ samples, startMs = 0 }: ReportedStep, width: number): HTMLElement | undefined {
  if (samples.length < 2) return undefined
  const times = samples.map(({ atMs }) => (atMs - startMs) / 1000)
  const memory = samples.map(({ memoryBytes }) => memoryBytes ?? null)
  const processors = samples.map(({ cpuMs, atMs }, index) => {
    const before = samples[index - 1]
    return before === undefined ? cpuMs / Math.max(1, atMs - startMs) : (cpuMs - before.cpuMs) / Math.max(1, atMs - before.atMs)
  })
  const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name)
  const axis = { stroke: color('--soft'), grid: { stroke: color('--line'), width: 1 }, ticks: { stroke: color('--line'), width: 1 }, font: '12px system-ui' }
  const peak = Math.max(...samples.map(({ memoryBytes }) => memoryBytes ?? 0))
  const most = Math.max(...processors)
  const summary = `Memory up to ${formatBytes(peak)}, processors up to ${most.toFixed(1)}, processes up to ${Math.max(...samples.map(({ processes }) => processes))}, over ${(times.at(-1) ?? 0).toFixed(1)} seconds.`
  const holder = element('div', { class: 'chart', role: 'img', 'aria-label': summary })
  new uPlot({
    width, height: 180, cursor: { y: false }, scales: { x: { time: false }, memory: { range: (_, __, max) => [0, max * 1.1 || 1] }, processors: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    series: [
      { label: 'seconds', value: (_, value) => Number.isFinite(value) ? value.toFixed(1) : '' },
      { label: 'memory', scale: 'memory', stroke: color('--accent'), fill: color('--accent-soft'), width: 2, value: (_, value) => Number.isFinite(value) ? formatBytes(value) : '' },
      { label: 'processors', scale: 'processors', stroke: color('--warm'), width: 2, value: (_, value) => Number.isFinite(value) ? value.toFixed(2) : '' },
    ],
    axes: [
      { ...axis, values: (_, values) => values.map((value) => `${value}s`) },
      { ...axis, scale: 'memory', size: 70, values: (_, values) => values.map((value) => formatBytes(value)) },
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a const enum has no values at run time
      { ...axis, scale: 'processors', side: 1, size: 50, grid: { show: false }, values: (_, values) => values.map((value) => value.toFixed(1)) },
    ],
  }, [times, memory, processors], holder)
  return element('figure', {}, holder, element('figcaption', {}, summary))
}
