import type { BuildEvent } from '../../builder/index.ts'

/** Events as they are, one JSON object a line; output bytes as text where they are UTF-8, else in base64. */
export class JsonRenderer {
  readonly #write: (line: string) => void

  constructor(write: (line: string) => void) {
    this.#write = write
  }

  handle(event: BuildEvent): void {
    this.#write(JSON.stringify(event.type === 'node-output' ? { ...event, ...encodeOutput(event.bytes) } : event))
  }
}

function encodeOutput(bytes: Uint8Array): { bytes: undefined; text: string } | { bytes: undefined; base64: string } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = buffer.toString('utf8')
  return Buffer.from(text).equals(buffer) ? { bytes: undefined, text } : { bytes: undefined, base64: buffer.toString('base64') }
}
