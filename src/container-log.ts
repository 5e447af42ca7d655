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

interface Reading {
  /** Whether there may be more to come. */
  readonly isFollowed: () => boolean
  /** Of what is there when it begins. */
  readonly lastLines: number
}

/** What was written so far, and what comes until `isFollowed` says no more. */
export async function* readLog(path: string, { isFollowed, lastLines }: Reading): AsyncGenerator<LogEntry, void, undefined> {
  for (let done = 0; ;) {
    const isOver = !isFollowed()
    const lines = (existsSync(path) ? readFileSync(path, 'utf8') : '').split('\n').slice(0, -1)
    const entries = lines.slice(done).map(decodeEntry)
    yield* done === 0 ? lastOf(entries, lastLines) : entries
    done = lines.length
    if (isOver) return
    await setTimeout(pollMs)
  }
}

function decodeEntry(line: string): LogEntry {
  const { stream, data } = JSON.parse(line) as { readonly stream: LogEntry['stream']; readonly data: string }
  return { stream, bytes: Buffer.from(data, 'base64') }
}

/** An entry can hold many lines or a part of one; a last line without an end counts as well. */
function lastOf(entries: readonly LogEntry[], lastLines: number): readonly LogEntry[] {
  if (lastLines === Infinity) return entries
  const pieces = entries.flatMap(splitLines)
  let lines = 0
  for (let at = pieces.length - 1; at >= 0; at -= 1) {
    if (at === pieces.length - 1 || pieces[at]?.bytes.at(-1) === lineEnd) lines += 1
    if (lines > lastLines) return pieces.slice(at + 1)
  }
  return pieces
}

const lineEnd = 0x0a

function splitLines({ stream, bytes }: LogEntry): LogEntry[] {
  const pieces: LogEntry[] = []
  for (let start = 0, end; start < bytes.length; start = end) {
    end = bytes.indexOf(lineEnd, start) + 1 || bytes.length
    pieces.push({ stream, bytes: bytes.subarray(start, end) })
  }
  return pieces
}
