import type { BuildEvent } from '../../builder/index.ts'

/** Shows a build while it goes on. */
export interface Renderer {
  handle(event: BuildEvent): void
  /** Nothing is shown after it. */
  finish(): Promise<void>
}
