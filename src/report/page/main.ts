import { formatBytes, formatElapsed } from '../../render/format.ts'
import type { ReportData, ReportedBuild, ReportedImage } from '../report-data.ts'
import { element, section, table } from './element.ts'
import { layersSection, wasteSection } from './layers.ts'
import { timelineSection } from './timeline.ts'

const count = (value: number): string => value.toLocaleString('en-US')

function header({ title, build, image, createdAtMs }: ReportData): HTMLElement {
  return element('header', {},
    element('p', { class: 'kind' }, build === undefined ? 'Image' : `Build ${build.id}`),
    element('h1', {}, title, ...(build === undefined ? [] : [' ', element('span', { class: `badge ${build.outcome}` }, build.outcome)])),
    ...(build?.command === undefined ? [] : [element('p', { class: 'command' }, element('code', {}, build.command))]),
    ...(build?.error === undefined ? [] : [element('p', { class: 'error' }, build.error)]),
    element('ul', { class: 'facts', 'aria-label': 'In short' }, ...facts(build, image).map(([name, value]) => element('li', {}, element('strong', {}, value), ' ', element('span', {}, name)))),
    element('p', { class: 'hint' }, `${build === undefined ? '' : `Started ${new Date(build.startedAtMs).toLocaleString()}. `}Page made ${new Date(createdAtMs).toLocaleString()} by tsbuild.`),
  )
}

function facts(build: ReportedBuild | undefined, image: ReportedImage | undefined): [string, string][] {
  const peak = Math.max(0, ...(build?.steps ?? []).map(({ memoryPeakBytes }) => memoryPeakBytes ?? 0))
  const throttled = (build?.steps ?? []).reduce((sum, { throttledMs }) => sum + (throttledMs ?? 0), 0)
  const cached = build?.steps.filter(({ state }) => state === 'cached').length ?? 0
  return [
    ...(build === undefined ? [] : [['took', formatElapsed(build.durationMs)], ['steps from the cache', `${cached} of ${build.steps.length}`]] satisfies [string, string][]),
    ...(peak === 0 ? [] : [['memory peak', formatBytes(peak)]] satisfies [string, string][]),
    ...(throttled === 0 ? [] : [['throttled', formatElapsed(throttled)]] satisfies [string, string][]),
    ...(image === undefined ? [] : [
      [`on disk in ${image.layers.length} layers`, formatBytes(image.layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))],
      ['inodes', count(image.layers.reduce((sum, { inodes }) => sum + inodes, 0))],
      ['wasted', formatBytes(image.waste.bytes)],
    ] satisfies [string, string][]),
  ]
}

function cacheSection({ steps }: ReportedBuild): HTMLElement {
  const explain = (step: ReportedBuild['steps'][number]): string => step.state === 'cached' ? step.cause ?? 'found' : step.cause ?? (step.state === 'waiting' ? 'not reached' : '')
  return section('cache', 'Cache', table('Steps and the cache', ['Step', 'Instruction', 'Cache', 'Why'], steps.map((step) => [
    `${step.stage} ${step.count}`, element('code', {}, step.source), element('span', { class: `mark ${step.state}` }, step.state === 'cached' ? 'hit' : step.state === 'waiting' ? '–' : 'miss'), explain(step),
  ])))
}

function warningsSection({ warnings }: ReportedBuild): HTMLElement {
  return section('warnings', 'Warnings', element('ul', {}, ...warnings.map(({ rule, message }) => element('li', {}, element('strong', {}, rule), ` ${message}`))))
}

function render(data: ReportData): HTMLElement[] {
  const { build, image } = data
  const sections = [
    ...(build === undefined ? [] : [timelineSection(build), cacheSection(build)]),
    ...(build === undefined || build.warnings.length === 0 ? [] : [warningsSection(build)]),
    ...(image === undefined ? [] : [layersSection(image), wasteSection(image)]),
  ]
  const links = sections.map((each) => element('a', { href: `#${each.id}` }, each.querySelector('h2')?.textContent ?? ''))
  return [header(data), element('nav', { class: 'contents', 'aria-label': 'Contents' }, ...links), ...sections]
}

const data = JSON.parse(document.getElementById('data')?.textContent ?? '') as ReportData
document.getElementById('report')?.append(...render(data))
