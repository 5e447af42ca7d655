import type { BuildEvent } from '../../builder/index.ts'
import type { App } from '../app.ts'
import { JsonRenderer } from './json.ts'
import { PlainRenderer } from './plain.ts'
import type { Renderer } from './renderer.ts'

export const progressModes = ['auto', 'tty', 'plain', 'json', 'quiet'] as const
export type ProgressMode = typeof progressModes[number]

/** `title` says what is built. */
export async function createRenderer(app: App, mode: ProgressMode, title: string): Promise<Renderer> {
  switch (mode) {
    case 'quiet': return { handle: () => undefined, finish: () => Promise.resolve() }
    case 'json': return finished(new JsonRenderer((line) => app.print(line)))
    case 'plain': return createPlainRenderer(app)
    case 'tty': return createTerminalRenderer(app, title)
    case 'auto': return app.isTerminal && app.env['TERM'] !== 'dumb' ? createTerminalRenderer(app, title) : createPlainRenderer(app)
  }
}

async function createPlainRenderer(app: App): Promise<Renderer> {
  if (app.env['GITHUB_ACTIONS'] !== 'true') return new PlainRenderer((line) => app.note(line))
  const { GithubRenderer } = await import('./github.ts')
  return new GithubRenderer((line) => app.note(line))
}

async function createTerminalRenderer(app: App, title: string): Promise<Renderer> {
  const { TerminalRenderer } = await import('./terminal.ts')
  const { styleFor, symbolsFor } = await import('./tree/style.ts')
  return new TerminalRenderer({ stream: process.stderr, title, style: styleFor(process.stderr), symbols: symbolsFor(app.env) }).start()
}

function finished(renderer: { handle(event: BuildEvent): void }): Renderer {
  return { handle: (event) => renderer.handle(event), finish: () => Promise.resolve() }
}
