import { styleText } from 'node:util'

type Format = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

/** Colours a text, or leaves it as it is where colours are not wanted. */
export type Style = (format: Format, text: string) => string

/** Follows NO_COLOR, FORCE_COLOR and what the stream can do. */
export function styleFor(stream: NodeJS.WritableStream): Style {
  return (format, text) => styleText(format, text, { stream })
}

export const unstyled: Style = (_format, text) => text

export interface Symbols {
  readonly done: string
  readonly failed: string
  readonly canceled: string
  readonly running: string
  readonly waiting: string
  readonly output: string
  readonly pull: string
  readonly push: string
  readonly warning: string
  readonly bar: readonly [full: string, empty: string]
}

/** The console of a virtual terminal has no fonts for the others. */
export function symbolsFor(env: NodeJS.ProcessEnv): Symbols {
  const isPlain = env['TERM'] === 'linux' || env['TERM'] === 'dumb'
  return isPlain
    ? { done: '+', failed: 'x', canceled: '-', running: '*', waiting: '.', output: '|', pull: '<', push: '>', warning: '!', bar: ['=', '-'] }
    : { done: '✔', failed: '✖', canceled: '–', running: '●', waiting: '○', output: '│', pull: '↓', push: '↑', warning: '⚠', bar: ['━', '─'] }
}
