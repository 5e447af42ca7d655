import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

export interface LogEntry {
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Uint8Array
  /** When it was read of the container. */
  readonly atMs: number
}

/** One line; the bytes may be no text, so they are not written as one. */
export function encodeLogEntry({ stream, bytes }: Omit<LogEntry, 'atMs'>): string {
  return `${JSON.stringify({ atMs: Date.now(), stream, data: Buffer.from(bytes).toString('base64') })}\n`
}

const pollMs = 100

interface Reading {
  /** Whether there may be more to come. */
  readonly isFollowed: () => boolean
  /** Of what is there when it begins. */
  readonly lastLines: number
  /** What was written earlier, or later, is left out. */
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
}

/** What was written so far, and what comes until `isFollowed` says no more. */
export async function* readLog(path: string, { isFollowed, lastLines, sinceMs = 0, untilMs = Infinity }: Reading): AsyncGenerator<LogEntry, void, undefined> {
  let wanted = lastLines
  for (let offset = 0; ;) {
    const isOver = !isFollowed()
    const { entries, end } = readEntries(path, offset)
    yield* lastOf(entries.filter(({ atMs }) => atMs >= sinceMs && atMs <= untilMs), wanted)
    if (isOver || Date.now() > untilMs) return
    offset = end
    wanted = Infinity
    await setTimeout(pollMs)
  }
}

/** Those that are written whole from a place in the file on, and where they end. */
function readEntries(path: string, offset: number): { readonly entries: readonly LogEntry[]; readonly end: number } {
  const bytes = existsSync(path) ? readFrom(path, offset) : Buffer.alloc(0)
  const length = bytes.lastIndexOf(lineEnd) + 1
  return { entries: bytes.toString('latin1', 0, length).split('\n').slice(0, -1).map(decodeEntry), end: offset + length }
}

function readFrom(path: string, offset: number): Buffer {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(fd).size - offset))
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset))
  } finally {
    closeSync(fd)
  }
}

function decodeEntry(line: string): LogEntry {
  const { atMs, stream, data } = JSON.parse(line) as { readonly atMs: number; readonly stream: LogEntry['stream']; readonly data: string }
  return { atMs, stream, bytes: Buffer.from(data, 'base64') }
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

/** Each with its end, but for a last one that has none. */
export function splitLines({ bytes, ...entry }: LogEntry): LogEntry[] {
  const pieces: LogEntry[] = []
  for (let start = 0, end; start < bytes.length; start = end) {
    end = bytes.indexOf(lineEnd, start) + 1 || bytes.length
    pieces.push({ ...entry, bytes: bytes.subarray(start, end) })
  }
  return pieces
}
