import type { BuildEvent } from '../../builder/index.ts'
import { toWire } from '../../builder/index.ts'

/** One JSON object a line, as `docs/build-events.schema.json` says. */
export class JsonRenderer {
  readonly #write: (line: string) => void

  constructor(write: (line: string) => void) {
    this.#write = write
  }

  handle(event: BuildEvent): void {
    this.#write(JSON.stringify(toWire(event)))
  }
}
