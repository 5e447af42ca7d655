import { existsSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

export interface LogEntry {
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Uint8Array
}

/** One line; the bytes may be no text, so they are not written as one. */
export function encodeLogEntry({ stream, bytes }: LogEntry): string {
  return `${JSON.stringify({ atMs: Date.now(), stream, data: Buffer.from(bytes).toString('base64') })}\n`
}

const pollMs = 100

/** Everything written so far, and with `isFollowed` what comes until it says no more. */
export async function* readLog(path: string, isFollowed: () => boolean): AsyncGenerator<LogEntry, void, undefined> {
  for (let done = 0; ;) {
    const isOver = !isFollowed()
    const lines = (existsSync(path) ? readFileSync(path, 'utf8') : '').split('\n').slice(0, -1)
    for (const line of lines.slice(done)) {
      const { stream, data } = JSON.parse(line) as { readonly stream: LogEntry['stream']; readonly data: string }
      yield { stream, bytes: Buffer.from(data, 'base64') }
    }
    done = lines.length
    if (isOver) return
    await setTimeout(pollMs)
  }
}
