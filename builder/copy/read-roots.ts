import type { RootfsView } from '../../storage/index.ts'
import { parsePatterns } from '../context/dockerignore.ts'
import { filterEntries } from './filter-entries.ts'
import type { CopyEntry, CopyRoot } from './place.ts'
import type { SelectedRoot } from './select.ts'
import { baseName, cleanSource, isPattern, joinPath, selectRoots } from './select.ts'
import type { ScannedRoot, WalkedEntry } from './walk.ts'
import { isScanning, walkRoot } from './walk.ts'

const slash = Buffer.from('/')

export interface ReadOptions {
  /** Patterns of what is left out, relative to each root; a root that is a file is known by its name. */
  readonly excludes: readonly string[]
  readonly keepsParents: boolean
}

/**
 * What a path or pattern names in a view, each with all it holds.
 * @returns an empty list when nothing is there
 * @throws {MalformedPattern}
 */
export async function readRoots(view: RootfsView, pattern: string, options: ReadOptions = { excludes: [], keepsParents: false }): Promise<CopyRoot[]> {
  const excluded = parsePatterns(options.excludes)
  const finish = async (name: Buffer, walked: readonly WalkedEntry[]): Promise<CopyRoot> => {
    const kept = excluded.patterns.length === 0 ? walked : filterEntries(walked, excluded, 'others')
    return { name, entries: await withContents(view, kept) }
  }
  if (options.keepsParents) {
    const walked = await walkBelowPivot(view, pattern)
    return walked === undefined ? [] : [await finish(Buffer.alloc(0), walked)]
  }
  const selected = await selectRoots(view, pattern)
  if (excluded.patterns.length === 0 && isScanning(view)) {
    const scanned = await view.scan(selected)
    return scanned.map((root, index) => scannedRoot(baseName(selected[index]?.path ?? slash), root))
  }
  const roots: CopyRoot[] = []
  for (const root of selected) {
    const name = baseName(root.path)
    const isFile = root.entry.type !== 'directory'
    if (isFile && excluded.match(name.toString(), []).isMatch) continue
    roots.push(await finish(name, await walkRoot(view, root)))
  }
  return roots
}

function scannedRoot(name: Buffer, scanned: ScannedRoot): CopyRoot {
  let entries: CopyEntry[] | undefined
  return {
    name,
    get entries() { return entries ??= scanned.entries().map(copyEntry) },
    digest: (called) => scanned.digest(called),
  }
}

/**
 * Of `a/./b/*.txt` everything below `a` that `b/*.txt` names, with the directories on the way. Without `/./` the whole
 * tree is searched, and a doublestar in the pattern crosses directories.
 */
async function walkBelowPivot(view: RootfsView, pattern: string): Promise<readonly WalkedEntry[] | undefined> {
  const pivot = /(?:^|\/)\.\//u.exec(pattern)
  const [above, below] = pivot === null ? ['', pattern] : [pattern.slice(0, pivot.index), pattern.slice(pivot.index + pivot[0].length)]
  const roots = await selectRoots(view, above)
  let walked: readonly WalkedEntry[] = []
  for (const root of roots) {
    if (root.entry.type !== 'directory') continue
    const found = await walkMatching(view, root, cleanSource(below).slice(1))
    if (found.length > 1 || below === '') walked = walked.length === 0 ? found : walked.concat(found.slice(1))
  }
  return walked.length === 0 ? undefined : walked
}

async function walkMatching(view: RootfsView, root: SelectedRoot, pattern: string): Promise<readonly WalkedEntry[]> {
  if (pattern === '') return walkRoot(view, root)
  const parts = pattern.split('/')
  const firstPattern = parts.findIndex((part) => isPattern(part))
  const literal = parts.slice(0, firstPattern === -1 ? parts.length - 1 : firstPattern)
  const way = await walkDown(view, root, literal)
  const last = way?.at(-1)
  if (way === undefined || last === undefined) return []
  const below = await walkRoot(view, { path: last.path, followed: last.path, entry: last.entry })
  const entries = [...way, ...below.slice(1).map((walked) => ({ ...walked, relative: joinRelative(last.relative, walked.relative) }))]
  return filterEntries(entries, parsePatterns([pattern]), 'matching')
}

/** The root and the directories below it by these names; undefined when one of them is none. */
async function walkDown(view: RootfsView, root: SelectedRoot, names: readonly string[]): Promise<WalkedEntry[] | undefined> {
  const way: WalkedEntry[] = [{ relative: Buffer.alloc(0), path: root.followed, entry: root.entry, xattrs: await view.xattrs(root.followed) }]
  for (const name of names) {
    const above = way.at(-1)
    if (above === undefined) return undefined
    const path = joinPath(above.path, Buffer.from(name))
    const entry = await view.lstat(path)
    if (entry?.type !== 'directory') return undefined
    way.push({ relative: joinRelative(above.relative, Buffer.from(name)), path, entry, xattrs: await view.xattrs(path) })
  }
  return way
}

function joinRelative(above: Buffer, below: Buffer): Buffer {
  return above.length === 0 ? below : Buffer.concat([above, Buffer.from('/'), below])
}

async function withContents(view: RootfsView, walked: readonly WalkedEntry[]): Promise<CopyEntry[]> {
  const entries: CopyEntry[] = []
  for (const each of walked) entries.push(copyEntry({ ...each, content: each.content ?? (each.entry.type === 'file' ? await view.content(each.path) : undefined) }))
  return entries
}

function copyEntry({ relative, entry, xattrs, content, digest }: WalkedEntry): CopyEntry {
  return { relative, entry, xattrs, content, ...(digest === undefined ? {} : { digest }) }
}
