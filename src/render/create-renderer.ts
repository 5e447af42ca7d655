import type { BuildEvent } from '../../builder/index.ts'
import type { App } from '../app.ts'
import { JsonRenderer } from './json.ts'
import { PlainRenderer } from './plain.ts'
import type { Renderer } from './renderer.ts'

export type ProgressMode = 'auto' | 'plain' | 'json' | 'quiet'

export async function createRenderer(app: App, mode: ProgressMode): Promise<Renderer> {
  switch (mode) {
    case 'quiet': return { handle: () => undefined, finish: () => Promise.resolve() }
    case 'json': return finished(new JsonRenderer((line) => app.print(line)))
    case 'plain': return finished(new PlainRenderer((line) => app.note(line)))
    case 'auto': {
      if (!app.isTerminal) return finished(new PlainRenderer((line) => app.note(line)))
      const { createTerminalRenderer } = await import('./terminal.ts')
      return createTerminalRenderer(app)
    }
  }
}

function finished(renderer: { handle(event: BuildEvent): void }): Renderer {
  return { handle: (event) => renderer.handle(event), finish: () => Promise.resolve() }
}
