import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isErrno } from '../../core/errors.ts'
import type { FileContent, FolderListing, TreeEntry } from '../../storage/index.ts'
import { readFolder, treeEntry } from '../../storage/index.ts'
import type { SelectedRoot } from '../copy/select.ts'
import { baseName, joinPath, parentPath } from '../copy/select.ts'
import type { ScannedRoot, ScanningView } from '../copy/walk.ts'
import { ContextUnreadable } from './errors.ts'
import type { FileDigests } from './file-digests.ts'
import type { MatchState, PatternMatcher } from './pattern-matcher.ts'
import { rootState } from './pattern-matcher.ts'
import type { ScannedFolder } from './scanned-root.ts'
import { checkRecord, hostFile, readCapability, ScannedDirectory, ScannedFile } from './scanned-root.ts'

const slash = Buffer.from('/')
const maxLinks = 40
/** Up to so many files of one directory are asked for one by one. */
const fewFiles = 8

interface DirectoryOptions {
  readonly digests?: FileDigests
  readonly readsBackwards?: boolean | undefined
  /** Of the file that the patterns come from. */
  readonly ignoreName?: string
}

/**
 * A local directory as a build context: what COPY may see of it. Everything belongs to root, as `docker build` sends it;
 * files the ignore patterns exclude are not there; links are followed inside the directory only.
 */
export class DirectoryView implements ScanningView {
  /** Without a slash at its end. */
  readonly #root: Buffer
  readonly #rootPath: string
  readonly #ignore: PatternMatcher
  readonly #ignoreName: string
  readonly #digests: FileDigests | undefined
  readonly #readsBackwards: boolean
  /** How each directory met so far matched, for what it holds to inherit. */
  readonly #states = new Map<string, { readonly isMatch: boolean; readonly state: MatchState }>()
  /** Whether an excluded directory holds something that is included again. */
  readonly #holdsIncluded = new Map<string, boolean>()

  /** `root` is absolute. */
  constructor(root: string, ignore: PatternMatcher, { digests, readsBackwards = false, ignoreName = '.dockerignore' }: DirectoryOptions = {}) {
    this.#digests = digests
    this.#readsBackwards = readsBackwards
    this.#root = Buffer.from(root === '/' ? '' : root)
    this.#rootPath = root
    this.#ignore = ignore
    this.#ignoreName = ignoreName
  }

  lstat(path: Buffer | string): Promise<TreeEntry | undefined> {
    return Promise.resolve(this.#lstat(asBuffer(path)))
  }

  resolve(path: Buffer | string): Promise<Buffer> {
    return Promise.resolve(this.#resolve(asBuffer(path)))
  }

  list(path: Buffer | string): Promise<Buffer[]> {
    const folder = asBuffer(path)
    const names = this.#read('read directory', folder, (host) => readdirSync(host, { encoding: 'buffer' }))
    if (this.#readsBackwards) names.reverse()
    return Promise.resolve(names.filter((name) => this.#isVisible(joinPath(folder, name))).sort((one, other) => one.compare(other)))
  }

  /** The name of the ignore file, when something is there that it excludes. */
  hiddenBy(path: string): string | undefined {
    const file = this.#resolve(asBuffer(path))
    return !this.#isVisible(file) && this.#lstatHost(file) !== undefined ? this.#ignoreName : undefined
  }

  async readFile(path: Buffer | string, maxBytes: number): Promise<Buffer> {
    const resolved = this.#resolve(asBuffer(path))
    const entry = this.#lstat(resolved)
    if (entry?.type !== 'file') throw new ContextUnreadable(resolved.toString(), entry === undefined ? 'it does not exist' : `it is a ${entry.type}`)
    if (entry.sizeBytes > maxBytes) throw new ContextUnreadable(resolved.toString(), `it has ${entry.sizeBytes} bytes, more than ${maxBytes}`)
    return readFile(this.#hostPath(resolved))
  }

  xattrs(path: Buffer | string): Promise<ReadonlyMap<string, Buffer>> {
    return Promise.resolve(readCapability(this.#hostPath(asBuffer(path))))
  }

  content(path: Buffer | string): Promise<FileContent> {
    const file = asBuffer(path)
    const entry = this.#lstat(file)
    if (entry?.type !== 'file') throw new ContextUnreadable(file.toString(), entry === undefined ? 'it does not exist' : `it is a ${entry.type}`)
    return Promise.resolve(hostFile({ root: this.#rootPath }, file, entry))
  }

  async scan(roots: readonly SelectedRoot[]): Promise<ScannedRoot[]> {
    const place = { root: this.#rootPath, hostPath: (path: Buffer) => this.#hostPath(path), digests: this.#digests }
    const lists = await this.#readCrowded(roots)
    return Promise.all(roots.map(async ({ followed, entry }) => {
      if (entry.type !== 'directory') return new ScannedFile(place, await this.#scanFile(followed, lists))
      const state = followed.length === 1 ? rootState : this.#match(followed).state
      const top = { relative: Buffer.alloc(0), path: followed, entry, xattrs: await this.xattrs(followed) }
      return new ScannedDirectory(place, top, await this.#scanFolder(followed, state))
    }))
  }

  /** Directories of which so many files are wanted that it is faster to read them as a whole. */
  async #readCrowded(roots: readonly SelectedRoot[]): Promise<ReadonlyMap<string, FolderListing>> {
    const wanted = new Map<string, number>()
    for (const { followed, entry } of roots) {
      const folder = parentPath(followed).toString('latin1')
      if (entry.type !== 'directory') wanted.set(folder, (wanted.get(folder) ?? 0) + 1)
    }
    const crowded = [...wanted].filter(([, count]) => count > fewFiles)
    return new Map(await Promise.all(crowded.map(async ([folder]) => [folder, await this.#readFolder(Buffer.from(folder, 'latin1'), undefined)] as const)))
  }

  async #scanFile(file: Buffer, lists: ReadonlyMap<string, FolderListing>): Promise<ScannedFolder> {
    const path = parentPath(file)
    const whole = lists.get(path.toString('latin1'))
    const listing = whole ?? await this.#readFolder(path, baseName(file))
    const start = listing.find(baseName(file))
    if (start === undefined) throw new ContextUnreadable(file.toString(), 'it is gone')
    checkRecord({ path, listing }, start)
    return { path, listing, isWhole: whole !== undefined, starts: [start], inside: new Map() }
  }

  async #scanFolder(path: Buffer, state: MatchState): Promise<ScannedFolder> {
    const listing = await this.#readFolder(path, undefined)
    const seen = listing.starts().flatMap((start) => this.#matchRecord({ path, listing }, { start, state }) ?? [])
    const reading = seen.flatMap(({ start, state: inherited }) => listing.type(start) === 'directory' ? [{ start, folder: this.#scanFolder(joinPath(path, listing.name(start)), inherited) }] : [])
    const inside = new Map(await Promise.all(reading.map(async ({ start, folder }) => [start, await folder] as const)))
    const starts = seen.flatMap(({ start, isMatch }) => isMatch && inside.get(start)?.starts.length === 0 ? [] : [start])
    return { path, listing, isWhole: true, starts, inside }
  }

  #readFolder(path: Buffer, only: Buffer | undefined): Promise<FolderListing> {
    return readFolder(this.#hostPath(path), { known: this.#digests?.recall(path), only, readsBackwards: this.#readsBackwards })
      .catch((error: unknown) => { throw new ContextUnreadable(path.toString(), 'cannot read directory', { cause: error }) })
  }

  /** undefined for what the patterns exclude. An excluded directory stays when they may bring back something below it. */
  #matchRecord({ path, listing }: Pick<ScannedFolder, 'path' | 'listing'>, { start, state }: { readonly start: number; readonly state: MatchState }): { readonly start: number; readonly isMatch: boolean; readonly state: MatchState } | undefined {
    if (this.#ignore.patterns.length > 0) {
      const relative = (path.length === 1 ? '' : `${path.toString('utf8', 1)}/`) + listing.nameText(start, 'utf8')
      const matched = this.#ignore.match(relative, state)
      const isHidden = matched.isMatch && (listing.error(start) !== 0 || listing.type(start) !== 'directory' || !this.#ignore.mayHoldExceptions(relative))
      if (isHidden) return undefined
      checkRecord({ path, listing }, start)
      return { start, ...matched }
    }
    checkRecord({ path, listing }, start)
    return { start, isMatch: false, state: rootState }
  }

  #lstat(path: Buffer): TreeEntry | undefined {
    return this.#isVisible(path) ? this.#lstatHost(path) : undefined
  }

  #lstatHost(path: Buffer): TreeEntry | undefined {
    try {
      const stats = lstatSync(this.#hostPath(path), { bigint: true })
      return { ...treeEntry(stats, stats.isSymbolicLink() ? readlinkSync(this.#hostPath(path), { encoding: 'buffer' }) : undefined), uid: 0, gid: 0 }
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw new ContextUnreadable(path.toString(), 'it cannot be examined', { cause: error })
    }
  }

  #resolve(path: Buffer): Buffer {
    const pending = splitComponents(path)
    let resolved: Buffer = slash
    for (let links = 0; ;) {
      const component = pending.shift()
      if (component === undefined) return resolved
      if (component === '..') {
        resolved = parentPath(resolved)
        continue
      }
      const next = joinPath(resolved, Buffer.from(component, 'latin1'))
      const target = this.#lstat(next)?.target
      if (target === undefined) {
        resolved = next
        continue
      }
      links += 1
      if (links > maxLinks) throw new ContextUnreadable(path.toString(), 'its links lead in a circle')
      pending.unshift(...splitComponents(target))
      if (target[0] === 0x2f) resolved = slash
    }
  }

  #isVisible(path: Buffer): boolean {
    if (path.length === 1 || this.#ignore.patterns.length === 0 || !this.#match(path).isMatch) return true
    return this.#ignore.mayHoldExceptions(path.subarray(1).toString()) && this.#isHoldingIncluded(path)
  }

  #match(path: Buffer): { readonly isMatch: boolean; readonly state: MatchState } {
    const key = path.toString('latin1')
    const known = this.#states.get(key)
    if (known !== undefined) return known
    const parent = parentPath(path)
    const matched = this.#ignore.match(path.subarray(1).toString(), parent.length === 1 ? rootState : this.#match(parent).state)
    this.#states.set(key, matched)
    return matched
  }

  /** An excluded directory stays when patterns with `!` bring back something below it. */
  #isHoldingIncluded(path: Buffer): boolean {
    const key = path.toString('latin1')
    const known = this.#holdsIncluded.get(key)
    if (known !== undefined) return known
    const isDirectory = lstatSync(this.#hostPath(path), { throwIfNoEntry: false })?.isDirectory() === true
    const holds = isDirectory && readdirSync(this.#hostPath(path), { encoding: 'buffer' }).some((name) => this.#isVisible(joinPath(path, name)))
    this.#holdsIncluded.set(key, holds)
    return holds
  }

  #read<T>(what: string, path: Buffer, read: (hostPath: Buffer) => T): T {
    try {
      return read(this.#hostPath(path))
    } catch (error) {
      throw new ContextUnreadable(path.toString(), `cannot ${what}`, { cause: error })
    }
  }

  #hostPath(path: Buffer): Buffer {
    return path.length === 1 ? (this.#root.length === 0 ? slash : this.#root) : Buffer.concat([this.#root, path])
  }
}

function asBuffer(path: Buffer | string): Buffer {
  return typeof path === 'string' ? Buffer.from(path) : path
}

function splitComponents(path: Buffer): string[] {
  return path.toString('latin1').split('/').filter((part) => part !== '' && part !== '.')
}
