import ora from 'ora'
import type { BuildEvent } from '../../builder/index.ts'
import type { App } from '../app.ts'
import { formatSeconds, printable } from './format.ts'
import { PlainRenderer } from './plain.ts'
import type { Renderer } from './renderer.ts'

const refreshMs = 100

/** Lines for what is done, and below them one line that lives: what runs, and since when. */
export function createTerminalRenderer(app: App): Renderer {
  const spinner = ora({ stream: process.stderr, discardStdin: false })
  const running = new Map<string, { title: string; startedAtMs: number }>()
  const titles = new Map<string, string>()
  const write = (line: string): void => {
    spinner.clear()
    app.note(line)
    spinner.render()
  }
  const plain = new PlainRenderer(write)
  const paint = (): void => { spinner.text = statusLine([...running.values()]) }
  const timer = setInterval(paint, refreshMs)
  timer.unref()
  spinner.start()
  return {
    handle: (event) => {
      track(event, running, titles)
      plain.handle(event)
      paint()
    },
    finish: () => {
      clearInterval(timer)
      spinner.stop()
      return Promise.resolve()
    },
  }
}

 
function track(event: BuildEvent, running: Map<string, { title: string; startedAtMs: number }>, titles: Map<string, string>): void {
  if (event.type === 'build-planned') for (const { node, label } of event.steps) titles.set(node, `[${label.stage} ${label.step}/${label.steps}] ${label.source}`)
  if (event.type === 'node-started') running.set(event.node, { title: titles.get(event.node) ?? '', startedAtMs: event.atMs })
  if (event.type === 'node-finished') running.delete(event.node)
}

function statusLine(steps: readonly { title: string; startedAtMs: number }[]): string {
  const [first] = steps
  if (first === undefined) return 'preparing'
  const more = steps.length > 1 ? ` and ${steps.length - 1} more` : ''
  const suffix = ` ${formatSeconds(Date.now() - first.startedAtMs)}${more}`
  const width = Math.max(20, (process.stderr.columns || 80) - suffix.length - 4)
  const title = printable(first.title)
  return `${title.length > width ? `${title.slice(0, width - 1)}…` : title}${suffix}`
}
