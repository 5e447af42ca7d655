import { randomUUID } from 'node:crypto'
import type { BuildEvent } from '../../builder/index.ts'
import { PlainRenderer } from './plain.ts'
import type { Renderer } from './renderer.ts'

type Warning = Extract<BuildEvent, { type: 'warning-raised' }>

/**
 * The plain log for GitHub Actions: each step that runs is a group that can be folded, warnings and the failure are
 * annotations on their line of the Dockerfile. Groups cannot overlap there: of steps that run at the same time one is
 * shown as it goes, the others when it has ended. What a step writes cannot be a command to the runner.
 * @see GitHub's "Workflow commands for GitHub Actions"
 */
export class GithubRenderer implements Renderer {
  readonly #write: (line: string) => void
  readonly #plain: PlainRenderer
  readonly #warnings: Warning[] = []
  readonly #held = new Map<string, string[]>()
  readonly #ended = new Set<string>()
  readonly #cached = new Set<string>()
  readonly #general: string[] = []
  /** While workflow commands are stopped, only this starts them again. */
  readonly #token: string = randomUUID()
  #open: string | undefined
  #file: string | undefined
  #failure: Extract<BuildEvent, { type: 'build-finished' }>['error']

  constructor(write: (line: string) => void) {
    this.#write = write
    this.#plain = new PlainRenderer((line, node) => this.#line(line, node))
  }

  handle(event: BuildEvent): void {
    if (event.type === 'build-planned') this.#file = event.steps[0]?.label.place.source.name
    if (event.type === 'warning-raised') this.#warnings.push(event)
    if (event.type === 'build-finished') this.#failure = event.error
    if (event.type === 'node-finished' && event.outcome === 'cached') this.#cached.add(event.node)
    this.#plain.handle(event)
    if (event.type === 'node-finished') this.#end(event.node)
  }

  async finish(): Promise<void> {
    if (this.#open !== undefined) this.#end(this.#open)
    await this.#plain.finish()
    for (const { rule, message, range } of this.#warnings) this.#annotate('warning', { file: this.#file, line: range?.startLine, endLine: range?.endLine, title: rule }, message)
    const { message, step } = this.#failure ?? {}
    if (message !== undefined) this.#annotate('error', { file: step?.place.source.name ?? this.#file, line: step?.place.range.startLine, endLine: step?.place.range.endLine, title: 'build failed' }, message)
  }

  #line(line: string, node: string | undefined): void {
    if (node === undefined || this.#cached.has(node)) {
      const lines = node === undefined ? [line] : [...this.#held.get(node) ?? [], line]
      if (node !== undefined) this.#held.delete(node)
      for (const each of lines) this.#general.push(each)
      if (this.#open === undefined) this.#flushGeneral()
    } else if (node === this.#open) {
      this.#write(line)
    } else {
      // In place: a step that waits for another may hold a hundred thousand lines.
      const held = this.#held.get(node) ?? []
      held.push(line)
      this.#held.set(node, held)
      if (this.#open === undefined && held.length > 1) this.#start(node)
    }
  }

  /** A step's second line shows that there is something to fold; a cached one has nothing. */
  #start(node: string): void {
    const [title = '', ...lines] = this.#held.get(node) ?? []
    this.#held.delete(node)
    this.#open = node
    for (const line of [`::group::${escapeData(title)}`, `::stop-commands::${this.#token}`, ...lines]) this.#write(line)
  }

  #end(node: string): void {
    this.#ended.add(node)
    if (this.#open !== undefined && this.#open !== node) return
    if (this.#open === node) this.#close()
    for (const [waiting] of [...this.#held].filter(([held]) => this.#ended.has(held))) {
      this.#start(waiting)
      this.#close()
    }
    this.#flushGeneral()
    const [next] = [...this.#held].find(([, lines]) => lines.length > 1) ?? []
    if (next !== undefined) this.#start(next)
  }

  #close(): void {
    this.#open = undefined
    for (const line of [`::${this.#token}::`, '::endgroup::']) this.#write(line)
  }

  #flushGeneral(): void {
    for (const line of this.#general.splice(0)) this.#write(line)
  }

  #annotate(kind: 'warning' | 'error', properties: Readonly<Record<string, string | number | undefined>>, message: string): void {
    const given = Object.entries(properties).flatMap(([name, value]) => value === undefined ? [] : [`${name}=${escapeProperty(String(value))}`])
    this.#write(`::${kind} ${given.join(',')}::${escapeData(message)}`)
  }
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
