import type { BuildEvent, BuildFinished, PlannedStep } from '../events.ts'
import type { SourceRange } from '../dockerfile/instruction.ts'
import type { StepLabel } from '../plan/plan.ts'

/** A step as events written down name it: what `StepLabel` says, without the text of the whole Dockerfile. */
export interface WireLabel {
  readonly stage: string
  readonly step: number
  readonly steps: number
  readonly source: string
  readonly place: SourceRange & { readonly file: string }
}

type Output = Extract<BuildEvent, { type: 'node-output' }>

/** An event as it is written down, in build records and by `--progress json`; `docs/build-events.schema.json` describes it. */
export type WireEvent =
  | Exclude<BuildEvent, { type: 'build-planned' | 'node-output' | 'build-finished' }>
  | { readonly type: 'build-planned'; readonly steps: readonly (WireLabel & Pick<PlannedStep, 'node'>)[] }
  | Omit<Output, 'bytes'> & ({ readonly text: string } | { readonly base64: string })
  | Omit<BuildFinished, 'error'> & { readonly error: { readonly code: string; readonly message: string; readonly step: WireLabel | undefined } | undefined }

/** Output is text where it is UTF-8, else base64. */
export function toWire(event: BuildEvent): WireEvent {
  switch (event.type) {
    case 'build-planned': return { type: event.type, steps: event.steps.map(({ node, label }) => ({ node, ...toWireLabel(label) })) }
    case 'node-output': return { type: event.type, node: event.node, stream: event.stream, atMs: event.atMs, ...encodeOutput(event.bytes) }
    case 'build-finished': return { ...event, error: event.error === undefined ? undefined : { ...event.error, step: event.error.step === undefined ? undefined : toWireLabel(event.error.step) } }
    default: return event
  }
}

export function toWireLabel({ stage, step, steps, source, place }: StepLabel): WireLabel {
  const { startLine, startColumn, endLine, endColumn } = place.range
  return { stage, step, steps, source, place: { file: place.source.name, startLine, startColumn, endLine, endColumn } }
}

function encodeOutput(bytes: Uint8Array): { readonly text: string } | { readonly base64: string } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = buffer.toString('utf8')
  return Buffer.from(text).equals(buffer) ? { text } : { base64: buffer.toString('base64') }
}

/** The event again, but for the text of the Dockerfile, which is not written down. */
export function fromWire(event: WireEvent): BuildEvent {
  switch (event.type) {
    case 'build-planned': return { type: event.type, steps: event.steps.map(({ node, ...label }) => ({ node, label: fromWireLabel(label) })) }
    case 'node-output': return { type: event.type, node: event.node, stream: event.stream, atMs: event.atMs, bytes: 'text' in event ? Buffer.from(event.text) : Buffer.from(event.base64, 'base64') }
    case 'build-finished': return { ...event, error: event.error === undefined ? undefined : { ...event.error, step: event.error.step === undefined ? undefined : fromWireLabel(event.error.step) } }
    default: return event
  }
}

function fromWireLabel({ stage, step, steps, source, place: { file, ...range } }: WireLabel): StepLabel {
  return { stage, step, steps, source, place: { source: { name: file, text: '' }, range } }
}
