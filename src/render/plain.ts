import { StringDecoder } from 'node:string_decoder'
import type { BuildEvent, NodeFinished } from '../../builder/index.ts'
import { BuildProgress } from '../../builder/index.ts'
import { formatBytes, formatSeconds, printable, shorten } from './format.ts'
import { describeRebase } from './miss-causes.ts'
import type { Renderer } from './renderer.ts'
import { summarize } from './summary.ts'
import { symbolsFor, unstyled } from './tree/style.ts'

/** Takes a line, and the step it belongs to. */
export type WriteLine = (line: string, node: string | undefined) => void

interface StepState {
  readonly node: string
  readonly number: number
  readonly title: string
  startedAtMs: number
  hasStarted: boolean
  /** Output since the last line break, by stream. */
  readonly partial: Map<string, string[]>
  readonly decoders: Map<string, StringDecoder>
}

/** A log has no width; this keeps the summary on one screen. */
const summaryColumns = 120

/**
 * A build as lines for a log, in the manner of `docker build --progress=plain`: `#3 [stage-1 2/4] RUN make`, then its
 * output with times since its start, then how it ended; and at the end the summary.
 */
export class PlainRenderer implements Renderer {
  readonly #write: WriteLine
  readonly #progress = new BuildProgress()
  readonly #steps = new Map<string, StepState>()
  readonly #startedAtMs = Date.now()

  constructor(write: WriteLine) {
    this.#write = write
  }

  handle(event: BuildEvent): void {
    this.#progress.handle(event)
    switch (event.type) {
      case 'build-planned': return this.#plan(event)
      case 'node-started': return this.#start(event)
      case 'node-output': return this.#output(event)
      case 'node-finished': return this.#finish(event)
      case 'image-resolved': return this.#say(`resolved ${event.name} to ${event.digest}`)
      case 'image-exported': return this.#say(`exported ${event.id}${event.names.map((name) => `\nnamed ${name}`).join('')}`)
      case 'warning-raised': return this.#say(`warning: ${event.rule}: ${event.message}${event.range === undefined ? '' : ` (line ${event.range.startLine})`}`)
      case 'transfer-progressed': return this.#transfer(event)
      case 'layer-rebased': return this.#rebase(event)
      case 'cache-missed':
      case 'build-finished':
      case 'usage-sampled':
      case 'image-resolving':
    }
  }

  finish(): Promise<void> {
    for (const line of summarize(this.#progress, { style: unstyled, symbols: symbolsFor({ TERM: 'dumb' }), columns: summaryColumns, cut: shorten, startedAtMs: this.#startedAtMs })) this.#say(line)
    return Promise.resolve()
  }

  #plan({ steps }: Extract<BuildEvent, { type: 'build-planned' }>): void {
    for (const { node, label } of steps) {
      this.#steps.set(node, { node, number: this.#steps.size + 1, title: `[${label.stage} ${label.step}/${label.steps}] ${label.source}`, startedAtMs: 0, hasStarted: false, partial: new Map(), decoders: new Map() })
    }
  }

  #start({ node, atMs }: Extract<BuildEvent, { type: 'node-started' }>): void {
    const step = this.#steps.get(node)
    if (step === undefined) return
    this.#begin(step, atMs)
  }

  #begin(step: StepState, atMs: number): void {
    step.startedAtMs = atMs
    step.hasStarted = true
    this.#write(`#${step.number} ${printable(step.title)}`, step.node)
  }

  #transfer({ direction, digest, outcome, totalBytes }: Extract<BuildEvent, { type: 'transfer-progressed' }>): void {
    if (outcome !== 'running') this.#say(`${direction} ${digest} ${outcome} ${formatBytes(totalBytes)}`)
  }

  #rebase(event: Extract<BuildEvent, { type: 'layer-rebased' }>): void {
    const step = this.#steps.get(event.node)
    if (step !== undefined) this.#write(`#${step.number} ${describeRebase(event)}`, step.node)
  }

  #say(line: string): void {
    this.#write(line, undefined)
  }

  #output({ node, stream, bytes, atMs }: Extract<BuildEvent, { type: 'node-output' }>): void {
    const step = this.#steps.get(node)
    if (step === undefined) return
    const decoder = step.decoders.get(stream) ?? new StringDecoder('utf8')
    step.decoders.set(stream, decoder)
    const [first = '', ...lines] = decoder.write(Buffer.from(bytes)).split('\n')
    // Joined once: megabytes may come before a line ends.
    const partial = step.partial.get(stream) ?? []
    partial.push(first)
    step.partial.set(stream, partial)
    for (const next of lines) {
      this.#writeOutput(step, { line: partial.join(''), atMs })
      partial.splice(0, partial.length, next)
    }
  }

  #writeOutput(step: StepState, { line, atMs }: { readonly line: string; readonly atMs: number }): void {
    this.#write(`#${step.number} ${formatSeconds(atMs - step.startedAtMs)} ${line.replace(/\r$/u, '')}`, step.node)
  }

  #finish(event: NodeFinished): void {
    const step = this.#steps.get(event.node)
    if (step === undefined) return
    for (const line of [...step.partial.values()].map((pieces) => pieces.join(''))) if (line !== '') this.#writeOutput(step, { line, atMs: event.atMs })
    step.partial.clear()
    // A step that fails while its cache key is made, a COPY without its source, was never started.
    if (!step.hasStarted) {
      if (event.outcome === 'canceled') return
      this.#begin(step, event.atMs)
    }
    this.#write(`#${step.number} ${ending(event, step)}`, step.node)
  }
}

function ending(event: NodeFinished, step: StepState): string {
  switch (event.outcome) {
    case 'cached': return 'CACHED'
    case 'executed': return `DONE ${formatSeconds(event.atMs - step.startedAtMs)}${peak(event)}`
    case 'failed': return `ERROR ${formatSeconds(event.atMs - step.startedAtMs)}`
    case 'canceled': return 'CANCELED'
  }
}

function peak({ usage }: NodeFinished): string {
  return usage?.memoryPeakBytes === undefined ? '' : ` (memory peak ${formatBytes(usage.memoryPeakBytes)})`
}
