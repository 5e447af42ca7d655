import { formatBytes, formatElapsed } from '../../render/format.ts'
import type { ReportedBuild, ReportedStep } from '../report-data.ts'
import { element, section } from './element.ts'
import { usageChart } from './usage-chart.ts'

/** Every step as a bar where it ran; one that is chosen opens with all that is known of it. */
export function timelineSection(build: ReportedBuild): HTMLElement {
  const stages = new Map<string, ReportedStep[]>()
  for (const step of build.steps) stages.set(step.stage, [...stages.get(step.stage) ?? [], step])
  return section('timeline', 'Timeline',
    element('p', { class: 'hint' }, 'Choose a step to see its log, why it ran, and what it used.'),
    element('div', { class: 'timeline' },
      axis(build.durationMs),
      ...[...stages].flatMap(([stage, steps]) => [element('h3', {}, stage), ...steps.flatMap((step) => stepRow(step, build.durationMs))]),
    ))
}

function axis(durationMs: number): HTMLElement {
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => element('span', { style: `left: ${share * 100}%` }, formatElapsed(durationMs * share)))
  return element('div', { class: 'axis', 'aria-hidden': 'true' }, element('div', {}), element('div', { class: 'ticks' }, ...ticks), element('div', {}))
}

function stepRow(step: ReportedStep, durationMs: number): HTMLElement[] {
  const id = `step-${step.number}`
  const details = element('div', { id, class: 'details', hidden: true })
  const took = step.startMs === undefined || step.endMs === undefined ? '' : formatElapsed(step.endMs - step.startMs)
  const row: HTMLButtonElement = element('button', {
    class: 'row', 'aria-expanded': 'false', 'aria-controls': id,
    onclick: () => {
      details.hidden = !details.hidden
      row.setAttribute('aria-expanded', String(!details.hidden))
      if (details.childElementCount === 0) details.append(...stepDetails(step, details.clientWidth))
    },
  },
  element('span', { class: 'label' }, element('span', { class: 'count' }, step.count), ' ', step.source),
  element('span', { class: 'track', 'aria-hidden': 'true' }, bar(step, durationMs)),
  element('span', { class: `state ${step.state}` }, step.state === 'executed' ? took : step.state))
  return [row, details]
}

function bar({ startMs, endMs, state }: ReportedStep, durationMs: number): HTMLElement | undefined {
  if (startMs === undefined) return undefined
  const total = Math.max(1, durationMs)
  const left = startMs / total * 100
  const width = ((endMs ?? durationMs) - startMs) / total * 100
  return element('span', { class: `bar ${state}`, style: `left: min(${left}%, 100% - 4px); width: max(4px, ${width}%)` })
}

function stepDetails(step: ReportedStep, width: number): HTMLElement[] {
  const { source, place, state, startMs, endMs, cause, memoryPeakBytes, cpuMs, throttledMs, log, logCutBytes } = step
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Where', place],
    ['Outcome', state],
    ['Ran', startMs === undefined ? undefined : `from ${formatElapsed(startMs)}${endMs === undefined ? '' : ` to ${formatElapsed(endMs)}`}`],
    [state === 'cached' ? 'Cache' : 'Why it ran', cause],
    ['Memory peak', memoryPeakBytes === undefined ? undefined : formatBytes(memoryPeakBytes)],
    ['Processor time', cpuMs === undefined ? undefined : formatElapsed(cpuMs)],
    ['Throttled', throttledMs === undefined || throttledMs === 0 ? undefined : formatElapsed(throttledMs)],
  ]
  const chart = usageChart(step, Math.max(300, width - 48))
  return [
    element('pre', { class: 'source', tabindex: 0, 'aria-label': 'Instruction' }, source),
    element('dl', {}, ...facts.flatMap(([name, value]) => value === undefined ? [] : [element('div', {}, element('dt', {}, name), element('dd', {}, value))])),
    ...(chart === undefined ? [] : [chart]),
    ...(log === '' ? [] : [element('pre', { class: 'log', tabindex: 0, 'aria-label': 'Log' }, logCutBytes > 0 ? `… ${formatBytes(logCutBytes)} before\n` : '', log)]),
  ]
}
