import type { BuildProgress, StepProgress, TransferProgress } from '../../../builder/index.ts'
import { formatBytes, formatElapsed, printable, shortId } from '../format.ts'
import { cutTo, padTo, widthOf } from './fit.ts'
import type { LogTails } from './log-tail.ts'
import type { Style, Symbols } from './style.ts'

/** One line the tree could show. */
export interface TreeItem {
  readonly kind: 'stage' | 'step' | 'output' | 'transfer' | 'note'
  /** The stage it belongs to, for a step whose heading finds no room. */
  readonly stage: string | undefined
  /** What finds room first: 0 before 1. Among equals the newest. */
  readonly rank: number
  readonly age: number
  readonly render: (width: number, isHeaded: boolean) => string
}

export interface TreeSource {
  readonly progress: BuildProgress
  readonly tails: LogTails
  readonly style: Style
  readonly symbols: Symbols
  readonly nowMs: number
}

const outputLines = 3
const shownTransfers = 6
const barColumns = 16
const ranks = { running: 0, transfer: 1, activeStage: 2, lastOutput: 3, stage: 4, output: 5, finished: 6, waiting: 7 } as const

/** Everything there is to show, in the order in which it stands in the tree. */
export function treeItems(source: TreeSource): TreeItem[] {
  const stages = Map.groupBy(source.progress.steps, ({ label }) => label.stage)
  return [
    ...source.progress.resolving.map((name) => note(source, `resolving ${printable(name)}`)),
    ...transferItems(source),
    ...[...stages].flatMap(([stage, steps]) => [stageItem(source, stage, steps), ...steps.flatMap((step) => stepItems(source, step))]),
  ]
}

function note({ style, symbols }: TreeSource, text: string): TreeItem {
  return { kind: 'note', stage: undefined, rank: ranks.running, age: 0, render: (width) => `  ${style('cyan', symbols.running)} ${cutTo(text, width - 4)}` }
}

function stageItem({ style }: TreeSource, stage: string, steps: readonly StepProgress[]): TreeItem {
  const isActive = steps.some(({ state }) => state === 'running')
  return { kind: 'stage', stage, rank: isActive ? ranks.activeStage : ranks.stage, age: 0, render: (width) => style('bold', cutTo(`  ${printable(stage)}`, width)) }
}

function stepItems(source: TreeSource, step: StepProgress): TreeItem[] {
  const { stage } = step.label
  const item: TreeItem = {
    kind: 'step', stage, rank: stepRank(step), age: source.nowMs - (step.endedAtMs ?? step.startedAtMs ?? source.nowMs),
    render: (width, isHeaded) => stepLine(source, step, { width, isHeaded }),
  }
  if (step.state !== 'running') return [item]
  const lines = source.tails.last(step.node, outputLines)
  return [item, ...lines.map((line, index): TreeItem => ({
    kind: 'output', stage, rank: index === lines.length - 1 ? ranks.lastOutput : ranks.output, age: 0,
    render: (width) => source.style('dim', `      ${source.symbols.output} ${cutTo(line, width - 8)}`),
  }))]
}

function stepRank({ state }: StepProgress): number {
  if (state === 'running' || state === 'failed') return ranks.running
  return state === 'waiting' ? ranks.waiting : ranks.finished
}

/** `    ✔ 2/7 RUN make      12.4s`, or with its stage in front of it where that has no line of its own. */
export function stepLine(source: Pick<TreeSource, 'style' | 'symbols' | 'nowMs'>, step: StepProgress, { width, isHeaded }: { readonly width: number; readonly isHeaded: boolean }): string {
  const { style, nowMs } = source
  const right = stepTime(step, nowMs)
  const count = `${step.label.step}/${step.label.steps}`
  const head = isHeaded ? '    ' : '  '
  const stage = isHeaded ? '' : `${cutTo(printable(step.label.stage), 16)} `
  const room = width - head.length - 2 - widthOf(stage) - count.length - 1 - right.length - 2
  const instruction = printable(step.label.source).replaceAll(/\s+/gu, ' ')
  const text = right === '' ? cutTo(instruction, Math.max(0, room)) : padTo(instruction, Math.max(0, room))
  const isQuiet = step.state === 'waiting' || step.state === 'cached'
  return `${head}${stepSymbol(source, step)} ${style('dim', `${stage}${count}`)} ${isQuiet ? style('dim', text) : text}${right === '' ? '' : `  ${style('dim', right)}`}`
}

function stepSymbol({ style, symbols }: Pick<TreeSource, 'style' | 'symbols'>, { state }: StepProgress): string {
  switch (state) {
    case 'waiting': return style('dim', symbols.waiting)
    case 'running': return style('cyan', symbols.running)
    case 'cached': return style('dim', symbols.done)
    case 'executed': return style('green', symbols.done)
    case 'failed': return style('red', symbols.failed)
    case 'canceled': return style('yellow', symbols.canceled)
  }
}

function stepTime({ state, startedAtMs, endedAtMs }: StepProgress, nowMs: number): string {
  if (state === 'waiting') return ''
  if (state === 'cached' || state === 'canceled') return state
  return startedAtMs === undefined ? '' : formatElapsed((endedAtMs ?? nowMs) - startedAtMs)
}

function transferItems(source: TreeSource): TreeItem[] {
  const active = source.progress.transfers.filter(({ event }) => event.outcome === 'running')
  const shown = active.slice(0, shownTransfers)
  const rest = active.length - shown.length
  return [
    ...shown.map((transfer): TreeItem => ({ kind: 'transfer', stage: undefined, rank: ranks.transfer, age: 0, render: (width) => transferLine(source, transfer, width) })),
    ...(rest === 0 ? [] : [note(source, `and ${rest} more to transfer`)]),
  ]
}

/** `  ↓ 4f4fb700ef54 ━━━━━━────────── 45.2MB / 117MB  12.3MB/s`; the bar goes first where there is little room. */
function transferLine({ style, symbols, nowMs }: TreeSource, { event, startedAtMs }: TransferProgress, width: number): string {
  const { direction, digest, doneBytes, totalBytes } = event
  const filled = totalBytes === 0 ? barColumns : Math.min(barColumns, Math.floor(doneBytes / totalBytes * barColumns))
  const rate = nowMs > startedAtMs ? `${formatBytes(Math.round(doneBytes / (nowMs - startedAtMs) * 1000))}/s` : ''
  const numbers = `${formatBytes(doneBytes).padStart(7)} / ${formatBytes(totalBytes).padEnd(7)} ${rate.padStart(9)}`
  const bar = `${style('cyan', symbols.bar[0].repeat(filled))}${style('dim', symbols.bar[1].repeat(barColumns - filled))} `
  const head = `  ${symbols[direction]} ${shortId(digest)} `
  return `${head}${width >= head.length + barColumns + 1 + numbers.length ? bar : ''}${cutTo(numbers, Math.max(0, width - head.length))}`
}
