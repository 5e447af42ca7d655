import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import { findNearest } from '../../core/nearest.ts'
import type { RootfsView } from '../../storage/index.ts'
import type { DockerfileSource } from '../dockerfile/instruction.ts'
import { ContextUnreadable } from '../errors.ts'
import { DirectoryView } from './directory-view.ts'
import { parseDockerignore } from './dockerignore.ts'

/** What a build is given: its Dockerfile, and the files that COPY may see. */
export interface BuildContext {
  readonly dockerfile: DockerfileSource
  readonly view: RootfsView
}

const maxDockerfileBytes = 16 * 1024 * 1024
const maxIgnoreBytes = 4 * 1024 * 1024

/** @throws {ContextUnreadable} */
export function openContext({ context, dockerfile }: { readonly context: string; readonly dockerfile?: string }): BuildContext {
  const root = resolve(context)
  if (!isDirectory(root)) throw new ContextUnreadable(context, 'it is no folder')
  const path = dockerfile === undefined ? defaultDockerfile(root) : resolve(dockerfile)
  const text = readText(path, maxDockerfileBytes)
  if (text === undefined) throw new ContextUnreadable(shownPath(path), `there is no such file${suggestion(path)}`)
  const ignore = readText(`${path}.dockerignore`, maxIgnoreBytes) ?? readText(join(root, '.dockerignore'), maxIgnoreBytes) ?? ''
  return { dockerfile: { name: shownPath(path), text }, view: new DirectoryView(root, parseDockerignore(ignore)) }
}

/** Docker falls back to the lower-case name. */
function defaultDockerfile(root: string): string {
  const [usual, fallback] = [join(root, 'Dockerfile'), join(root, 'dockerfile')]
  return lstatSync(usual, { throwIfNoEntry: false }) === undefined && lstatSync(fallback, { throwIfNoEntry: false }) !== undefined ? fallback : usual
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** @returns undefined when there is no such file */
function readText(path: string, maxBytes: number): string | undefined {
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
function shownPath(path: string): string {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') || short === '' ? path : short
}

function suggestion(path: string): string {
  const folder = dirname(path)
  const name = isDirectory(folder) ? findNearest(basename(path), readdirSync(folder)) : undefined
  return name === undefined ? '' : `; did you mean "${name}"?`
}
