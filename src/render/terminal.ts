import ora from 'ora'
import type { Ora } from 'ora'
import type { BuildEvent } from '../../builder/index.ts'
import { BuildProgress } from '../../builder/index.ts'
import { formatElapsed, printable } from './format.ts'
import type { Renderer } from './renderer.ts'
import { summarize } from './summary.ts'
import { chooseItems, renderItems } from './tree/choose-items.ts'
import { cutTo, padTo, widthOf } from './tree/fit.ts'
import type { TerminalStream } from './tree/live-region.ts'
import { LiveRegion, windowSize } from './tree/live-region.ts'
import { LogTails } from './tree/log-tail.ts'
import type { Style, Symbols } from './tree/style.ts'
import type { TreeSource } from './tree/tree-items.ts'
import { stepLine, treeItems } from './tree/tree-items.ts'

export interface TerminalOptions {
  readonly stream: TerminalStream
  /** What is built. */
  readonly title: string
  readonly style: Style
  readonly symbols: Symbols
}

/** A build as one tree that lives at the end of the terminal, and as lines that stay once it is over. */
export class TerminalRenderer implements Renderer {
  readonly #options: TerminalOptions
  readonly #region: LiveRegion
  readonly #spinner: Ora
  readonly #progress = new BuildProgress()
  readonly #tails = new LogTails()
  readonly #startedAtMs = Date.now()
  #timer: NodeJS.Timeout | undefined
  readonly #repaint = (): void => { this.paint() }
  readonly #restart = (): void => { this.#region.forget() }
  readonly #restore = (): void => { this.#region.restoreCursor() }

  constructor(options: TerminalOptions) {
    this.#options = options
    this.#region = new LiveRegion(options.stream)
    this.#spinner = ora({ discardStdin: false, isEnabled: true, color: 'cyan' })
  }

  start(): this {
    this.#timer = setInterval(this.#repaint, this.#spinner.interval)
    process.on('SIGWINCH', this.#repaint).on('SIGCONT', this.#restart).on('exit', this.#restore)
    this.paint()
    return this
  }

  handle(event: BuildEvent): void {
    this.#progress.handle(event)
    if (event.type === 'node-output') this.#tails.add(event)
  }

  paint(): void {
    const source = this.#source()
    this.#region.paint((columns, rows) => {
      const items = treeItems(source)
      const all = chooseItems(items, rows - 1)
      const { shown, hiddenRunning } = all.hiddenRunning > 0 ? chooseItems(items, rows - 2) : all
      return [this.#header(columns), ...renderItems(shown, columns), ...(hiddenRunning > 0 ? [cutTo(`  and ${hiddenRunning} more running`, columns)] : [])]
    })
  }

  async pause<T>(work: () => Promise<T>): Promise<T> {
    this.#stop()
    this.#region.close([])
    try {
      return await work()
    } finally {
      this.start()
    }
  }

  finish(): Promise<void> {
    if (this.#timer === undefined) return Promise.resolve()
    this.#stop()
    this.#region.close([...this.#finalTree(), ...this.#summary()])
    return Promise.resolve()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    process.off('SIGWINCH', this.#repaint).off('SIGCONT', this.#restart).off('exit', this.#restore)
  }

  #source(): TreeSource {
    const { style, symbols } = this.#options
    return { progress: this.#progress, tails: this.#tails, style, symbols, nowMs: Date.now() }
  }

  #header(columns: number): string {
    const { style } = this.#options
    const { steps } = this.#progress
    const count = (...states: readonly string[]): number => steps.filter(({ state }) => states.includes(state)).length
    const cached = count('cached')
    const counts = steps.length === 0 ? '' : `  ${cached + count('executed')}/${steps.length} steps${cached > 0 ? `, ${cached} cached` : ''}`
    const elapsed = formatElapsed(Date.now() - this.#startedAtMs)
    const left = columns - 2 - elapsed.length - 2
    const title = cutTo(printable(this.#options.title), Math.max(0, left - counts.length))
    this.#spinner.text = `${style('bold', title)}${style('dim', padTo(counts, Math.max(0, left - widthOf(title))))}  ${elapsed}`
    return this.#spinner.frame()
  }

  /** Every step, however many there are: what scrolled by is still there to read. */
  #finalTree(): string[] {
    const source = this.#source()
    const width = this.#columns()
    const stages = Map.groupBy(this.#progress.steps, ({ label }) => label.stage)
    return [...stages].flatMap(([stage, steps]) => [
      source.style('bold', cutTo(`  ${printable(stage)}`, width)),
      ...steps.flatMap((step) => [stepLine(source, step, { width, isHeaded: true }), ...(step.state === 'failed' ? this.#failureLog(step.node) : [])]),
    ])
  }

  #failureLog(node: string): string[] {
    const { style, symbols } = this.#options
    const dropped = this.#tails.dropped(node)
    const lines = this.#tails.last(node, Infinity)
    return [...(dropped === 0 ? [] : [`… ${dropped} lines before, which "tsbuild history logs" shows`]), ...lines].map((line) => `      ${style('dim', symbols.output)} ${line}`)
  }

  #summary(): string[] {
    const { style, symbols } = this.#options
    const { warnings } = this.#progress
    return [
      ...warnings.map(({ rule, message, range }) => `${style('yellow', symbols.warning)} ${printable(rule)}: ${printable(message)}${range === undefined ? '' : ` (line ${range.startLine})`}`),
      ...summarize(this.#progress, { style, symbols, columns: this.#columns(), cut: cutTo, startedAtMs: this.#startedAtMs }),
    ]
  }

  #columns(): number {
    return Math.max(20, windowSize(this.#options.stream)[0] - 1)
  }
}
