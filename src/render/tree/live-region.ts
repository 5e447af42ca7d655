import { widthOf } from './fit.ts'

/** A terminal as far as it is painted on; `process.stderr` is one. */
export interface TerminalStream {
  write(text: string): unknown
  /** Columns and rows at this moment. */
  getWindowSize(): [number, number]
}

/** A terminal that nobody has told its size says 0; it is taken for the usual one. */
export function windowSize(stream: TerminalStream): [number, number] {
  const [columns, rows] = stream.getWindowSize()
  return [columns > 0 ? columns : 80, rows > 0 ? rows : 24]
}

const beginFrame = '\u001B[?2026h'
const endFrame = '\u001B[?2026l'
const hideCursor = '\u001B[?25l'
const showCursor = '\u001B[?25h'
const clearBelow = '\u001B[J'
const clearLineEnd = '\u001B[K'

/**
 * The last lines of a terminal, painted over and over. A frame is one write and no line is erased before it is
 * written anew, so nothing flickers. The cursor rests below the last line: what the terminal itself writes there, `^C`
 * for example, disturbs nothing. Lines of an earlier frame that a narrower window has broken in two are counted as the
 * two that they are.
 */
export class LiveRegion {
  readonly #stream: TerminalStream
  #lines: readonly string[] = []
  #columns = 0
  #isOpen = false

  constructor(stream: TerminalStream) {
    this.#stream = stream
  }

  /** `lines` gets the room there is: columns and rows it must stay within. */
  paint(lines: (columns: number, rows: number) => readonly string[]): void {
    const [columns, rows] = windowSize(this.#stream)
    const next = lines(Math.max(1, columns - 1), Math.max(1, rows - 1))
    const isResized = columns !== this.#columns
    if (!isResized && next.length === this.#lines.length && next.every((line, index) => line === this.#lines[index])) return
    this.#stream.write(`${beginFrame}${this.#isOpen ? '' : hideCursor}${this.#goToTop(columns)}${isResized && this.#isOpen ? clearBelow : ''}${next.map((line) => `${line}${clearLineEnd}\r\n`).join('')}${clearBelow}${endFrame}`)
    this.#lines = next
    this.#columns = columns
    this.#isOpen = true
  }

  /** Takes the region away and writes lines that stay. */
  close(lines: readonly string[]): void {
    const [columns] = windowSize(this.#stream)
    const top = this.#isOpen ? `${this.#goToTop(columns)}${clearBelow}${showCursor}` : ''
    this.#stream.write(`${top}${lines.map((line) => `${line}\r\n`).join('')}`)
    this.#lines = []
    this.#isOpen = false
  }

  /** The cursor is no longer where the last frame left it: the next one starts on a line of its own. */
  forget(): void {
    this.#lines = []
  }

  /** For the end of a process that did not come to `close`. */
  restoreCursor(): void {
    if (this.#isOpen) this.#stream.write(showCursor)
  }

  #goToTop(columns: number): string {
    const rows = this.#lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0)
    return rows === 0 ? '\r' : `\r\u001B[${rows}A`
  }
}
