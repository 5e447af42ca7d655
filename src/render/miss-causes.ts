import type { BuildEvent, MissCause, StepLabel } from '../../builder/index.ts'
import { unreachable } from '../../core/errors.ts'
import { printable } from './format.ts'

const shownLength = 60

/** Collects why steps were run, for --explain-cache. */
export class MissCauses {
  readonly #labels = new Map<string, StepLabel>()
  readonly #lines: string[] = []

  handle(event: BuildEvent): void {
    if (event.type === 'build-planned') for (const { node, label } of event.steps) this.#labels.set(node, label)
    if (event.type === 'cache-missed') this.#add(event.node, describeCause(event.cause))
    if (event.type === 'layer-rebased') this.#add(event.node, describeRebase(event))
  }

  #add(node: string, reason: string): void {
    const label = this.#labels.get(node)
    if (label !== undefined) this.#lines.push(printable(`[${label.stage} ${label.step}/${label.steps}] ${label.source}: ${reason}`))
  }

  /** A line for each step that was run or laid on another base, in the order they began. */
  lines(): readonly string[] {
    return this.#lines.length === 0 ? ['every step came from the cache'] : this.#lines
  }
}

export function describeRebase({ before, after }: Extract<BuildEvent, { type: 'layer-rebased' }>): string {
  return `its layer is kept, though what it lies on changed${change(before, after)}`
}

export function describeCause(cause: MissCause): string {
  switch (cause.kind) {
    case 'never-built': return 'never built with this store'
    case 'cache-off': return 'its cache is off'
    case 'layer-gone': return 'nothing changed, and its layer was removed from the store'
    case 'base-changed': return `what it is built on changed${change(cause.before, cause.after)}`
    case 'changed': return `${cause.part} ${verb(cause)}${change(cause.before, cause.after)}`
    default: return unreachable(cause)
  }
}

function verb({ part, before, after }: Extract<MissCause, { kind: 'changed' }>): string {
  if (!part.startsWith('file ') || (before === undefined) === (after === undefined)) return 'changed'
  return before === undefined ? 'is new' : 'is gone'
}

function change(before: string | undefined, after: string | undefined): string {
  if (before === undefined || after === undefined) return ''
  return ` (${short(before)} → ${short(after)})`
}

function short(text: string): string {
  const plain = text.startsWith('sha256:') ? text.slice(7, 19) : text
  return plain.length > shownLength ? `${plain.slice(0, shownLength)}…` : plain === '' ? 'nothing' : plain
}
