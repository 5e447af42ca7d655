import type { BuildEvent } from '../../builder/index.ts'

/** Shows a build while it goes on. */
export interface Renderer {
  handle(event: BuildEvent): void
  /** Leaves the terminal to somebody else for as long as the work takes; what comes meanwhile is shown afterwards. */
  pause?<T>(work: () => Promise<T>): Promise<T>
  /** Nothing is shown after it. */
  finish(): Promise<void>
}
