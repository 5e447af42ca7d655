import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, relative } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { findNearest } from '../../core/nearest.ts'
import { ContextUnreadable } from './errors.ts'

export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** @returns undefined when there is no such file */
export function readText(path: string, maxBytes: number): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return undefined
  if (!stats.isFile()) throw new ContextUnreadable(shownPath(path), 'it is no regular file')
  if (stats.size > maxBytes) throw new ContextUnreadable(shownPath(path), `it has ${stats.size} bytes, more than ${maxBytes}`)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path))
  } catch (error) {
    if (isErrno(error, 'ERR_ENCODING_INVALID_ENCODED_DATA')) throw new ContextUnreadable(shownPath(path), 'it is not UTF-8 text', { cause: error })
    throw new ContextUnreadable(shownPath(path), 'it cannot be read', { cause: error })
  }
}

/** As a user would name it: relative to where they are, when it lies below. */
export function shownPath(path: string): string {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') || short === '' ? path : short
}

export function suggestion(path: string): string {
  const folder = dirname(path)
  const name = isDirectory(folder) ? findNearest(basename(path), readdirSync(folder)) : undefined
  return name === undefined ? '' : `; did you mean "${name}"?`
}
