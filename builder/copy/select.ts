import type { RootfsView, TreeEntry } from '../../storage/index.ts'
import { matchPath } from '../context/match-path.ts'

/** A file or directory that one source of a COPY names. */
export interface SelectedRoot {
  /** The path as matched, in the source view: its last component names the copy. */
  readonly path: Buffer
  /** The same path with links followed. */
  readonly followed: Buffer
  readonly entry: TreeEntry
}

const slash = Buffer.from('/')
const hasWildcard = /[*?[\\]/u

/**
 * What a source path or pattern names in a view, in byte order. Leading `/` and `..` are clamped to the view's root;
 * patterns are Go's filepath.Match, level by level, so `*` never crosses a slash. A top-level link is followed.
 * @returns an empty list when nothing is there: an error for a plain path, none for a pattern
 */
export async function selectRoots(view: RootfsView, pattern: string): Promise<SelectedRoot[]> {
  const clean = cleanSource(pattern)
  const paths = hasWildcard.test(clean) ? await matchPattern(view, clean) : [Buffer.from(clean)]
  const roots = await Promise.all(paths.map((path) => followRoot(view, path)))
  return roots.filter((root) => root !== undefined)
}

export function isPattern(source: string): boolean {
  return hasWildcard.test(source)
}

/** Absolute inside the view, without `.`, `..`, doubled or trailing slashes. */
export function cleanSource(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

async function followRoot(view: RootfsView, path: Buffer): Promise<SelectedRoot | undefined> {
  const followed = await view.resolve(path)
  const entry = await view.lstat(followed)
  return entry === undefined ? undefined : { path, followed, entry }
}

async function matchPattern(view: RootfsView, pattern: string): Promise<Buffer[]> {
  let found: Buffer[] = [slash]
  for (const component of pattern.split('/').filter((part) => part !== '')) {
    const next = await Promise.all(found.map((folder) => matchComponent(view, folder, component)))
    found = next.flat()
  }
  return found
}

async function matchComponent(view: RootfsView, folder: Buffer, component: string): Promise<Buffer[]> {
  const followed = await view.resolve(folder)
  if ((await view.lstat(followed))?.type !== 'directory') return []
  if (!hasWildcard.test(component)) {
    const path = joinPath(folder, Buffer.from(component))
    return await view.lstat(path) === undefined ? [] : [path]
  }
  const names = await view.list(followed)
  return names.filter((name) => matchPath(component, name.toString()) === 'match').map((name) => joinPath(folder, name))
}

export function joinPath(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 1 ? Buffer.concat([slash, name]) : Buffer.concat([folder, slash, name])
}

/** The last component; empty for the root. */
export function baseName(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(0x2f) + 1)
}

/** The path without its last component; that of the root is the root. */
export function parentPath(path: Buffer): Buffer {
  const end = path.lastIndexOf(0x2f)
  return end <= 0 ? slash : path.subarray(0, end)
}
