import type { BuildEvent } from '../../builder/index.ts'
import type { Renderer } from './renderer.ts'

/** Events on their way to a renderer; while somebody else has the screen they wait. */
export class EventGate {
  readonly #renderer: Renderer
  readonly #waiting: BuildEvent[] = []
  #isClosed = false

  constructor(renderer: Renderer) {
    this.#renderer = renderer
  }

  handle(event: BuildEvent): void {
    if (this.#isClosed) this.#waiting.push(event)
    else this.#renderer.handle(event)
  }

  readonly pause = async <T>(work: () => Promise<T>): Promise<T> => {
    this.#isClosed = true
    try {
      return await (this.#renderer.pause?.(work) ?? work())
    } finally {
      this.#isClosed = false
      for (const event of this.#waiting.splice(0)) this.#renderer.handle(event)
    }
  }
}
