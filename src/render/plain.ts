import type { BuildEvent, NodeFinished } from '../../builder/index.ts'
import { StringDecoder } from 'node:string_decoder'
import { formatBytes, formatSeconds, printable } from './format.ts'

interface StepState {
  readonly number: number
  readonly title: string
  startedAtMs: number
  /** Output since the last line break, by stream. */
  readonly partial: Map<string, string>
}

/**
 * A build as lines for a log, in the manner of `docker build --progress=plain`: `#3 [stage-1 2/4] RUN make`, then its
 * output with times since its start, then how it ended.
 */
export class PlainRenderer {
  readonly #write: (line: string) => void
  readonly #steps = new Map<string, StepState>()
  readonly #decoders = new Map<string, StringDecoder>()

  constructor(write: (line: string) => void) {
    this.#write = write
  }

  handle(event: BuildEvent): void {
    switch (event.type) {
      case 'build-planned':
        for (const { node, label } of event.steps) {
          this.#steps.set(node, { number: this.#steps.size + 1, title: `[${label.stage} ${label.step}/${label.steps}] ${label.source}`, startedAtMs: 0, partial: new Map() })
        }
        return
      case 'node-started': {
        const step = this.#steps.get(event.node)
        if (step === undefined) return
        step.startedAtMs = event.atMs
        this.#write(`#${step.number} ${printable(step.title)}`)
        return
      }
      case 'node-output': return this.#output(event)
      case 'node-finished': return this.#finish(event)
      case 'image-resolved': return this.#write(`resolved ${event.name} to ${event.digest}`)
      case 'image-exported': return this.#write(`exported ${event.id}${event.names.map((name) => `\nnamed ${name}`).join('')}`)
      case 'warning-raised': return this.#write(`warning: ${event.rule}: ${event.message}${event.range === undefined ? '' : ` (line ${event.range.startLine})`}`)
      case 'transfer-progressed':
        if (event.outcome !== 'running') this.#write(`${event.direction} ${event.digest} ${event.outcome} ${formatBytes(event.totalBytes)}`)
        return
      case 'cache-missed':
      case 'image-resolving':
    }
  }

  #output({ node, stream, bytes }: Extract<BuildEvent, { type: 'node-output' }>): void {
    const step = this.#steps.get(node)
    if (step === undefined) return
    const lines = `${step.partial.get(stream) ?? ''}${this.#decoder(node, stream).write(Buffer.from(bytes))}`.split('\n')
    step.partial.set(stream, lines.pop() ?? '')
    for (const line of lines) this.#writeOutput(step, line)
  }

  #decoder(node: string, stream: string): StringDecoder {
    const key = `${node} ${stream}`
    const decoder = this.#decoders.get(key) ?? new StringDecoder('utf8')
    this.#decoders.set(key, decoder)
    return decoder
  }

  #writeOutput(step: StepState, line: string): void {
    this.#write(`#${step.number} ${formatSeconds(Date.now() - step.startedAtMs)} ${line.replace(/\r$/u, '')}`)
  }

  #finish(event: NodeFinished): void {
    const step = this.#steps.get(event.node)
    if (step === undefined) return
    for (const line of step.partial.values()) if (line !== '') this.#writeOutput(step, line)
    step.partial.clear()
    this.#write(`#${step.number} ${ending(event, step)}`)
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
