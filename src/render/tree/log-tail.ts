import { StringDecoder } from 'node:string_decoder'
import { stripVTControlCharacters } from 'node:util'
import type { BuildEvent } from '../../../builder/index.ts'
import { printable } from '../format.ts'

/** Enough for the end of a failure; the whole log is in the build's record. */
const keptLines = 50
const maxLineLength = 10_000

interface Tail {
  readonly lines: string[]
  dropped: number
  /** Since the last line break, by stream. */
  readonly partial: Map<string, string>
  readonly decoders: Map<string, StringDecoder>
}

/** The last lines each step wrote, as they would stand on a screen: a line that was overwritten shows its last state. */
export class LogTails {
  readonly #tails = new Map<string, Tail>()

  add({ node, stream, bytes }: Extract<BuildEvent, { type: 'node-output' }>): void {
    const tail = this.#tails.get(node) ?? { lines: [], dropped: 0, partial: new Map<string, string>(), decoders: new Map<string, StringDecoder>() }
    this.#tails.set(node, tail)
    const decoder = tail.decoders.get(stream) ?? new StringDecoder('utf8')
    tail.decoders.set(stream, decoder)
    const lines = `${tail.partial.get(stream) ?? ''}${decoder.write(Buffer.from(bytes))}`.split('\n')
    tail.partial.set(stream, (lines.pop() ?? '').slice(-maxLineLength))
    tail.lines.push(...lines.slice(-keptLines).map(shownLine))
    tail.dropped += Math.max(0, lines.length - keptLines) + Math.max(0, tail.lines.length - keptLines)
    tail.lines.splice(0, tail.lines.length - keptLines)
  }

  /** The newest `count` lines, unfinished ones included. */
  last(node: string, count: number): readonly string[] {
    const tail = this.#tails.get(node)
    if (tail === undefined) return []
    const partial = [...tail.partial.values()].filter((text) => text.trim() !== '').map(shownLine)
    return [...tail.lines, ...partial].filter((line) => line.trim() !== '').slice(-count)
  }

  /** How many lines are not kept here. */
  dropped(node: string): number {
    return this.#tails.get(node)?.dropped ?? 0
  }
}

/** What a carriage return went back over is gone; tabs and control characters cannot move the cursor. */
export function shownLine(line: string): string {
  const shown = line.replace(/\r+$/u, '').split('\r').at(-1) ?? ''
  return printable(stripVTControlCharacters(shown)).replaceAll('\t', '    ')
}
