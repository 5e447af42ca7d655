import type { BigIntStats } from 'node:fs'
import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isErrno } from '../../core/errors.ts'
import type { FileContent, RootfsView, TreeEntry } from '../../storage/index.ts'
import { readXattr, treeEntry } from '../../storage/index.ts'
import { ContextUnreadable } from '../errors.ts'
import { contentDigest } from '../copy/content-digest.ts'
import { joinPath, parentPath } from '../copy/select.ts'
import type { FileDigests, FileIdentity } from './file-digests.ts'
import { identifyFile } from './file-digests.ts'
import type { MatchState, PatternMatcher } from './pattern-matcher.ts'
import { rootState } from './pattern-matcher.ts'

const slash = Buffer.from('/')
const maxLinks = 40
/** The only attribute a context keeps. */
const capabilityXattr = 'security.capability'
const noXattrs: Promise<ReadonlyMap<string, Buffer>> = Promise.resolve(new Map())

/** A file as it was when it was looked at. */
interface SeenFile {
  readonly path: Buffer
  readonly sizeBytes: number
  readonly identity: FileIdentity
  /** From an earlier build. */
  readonly digest: string | undefined
}

/**
 * A local directory as a build context: what COPY may see of it. Everything belongs to root, as `docker build` sends it;
 * files the ignore patterns exclude are not there; links are followed inside the directory only.
 */
export class DirectoryView implements RootfsView {
  /** Without a slash at its end. */
  readonly #root: Buffer
  readonly #rootPath: string
  readonly #ignore: PatternMatcher
  readonly #digests: FileDigests | undefined
  readonly #readsBackwards: boolean
  /** How each directory met so far matched, for what it holds to inherit. */
  readonly #states = new Map<string, { readonly isMatch: boolean; readonly state: MatchState }>()
  /** The file that was looked at last: who walks asks for its content next, and there is no need to look again. */
  #lastFile: SeenFile | undefined
  readonly #withXattrs = new Set<string>()
  /** What files were when their contents were asked for. */
  readonly #seen = new WeakMap<FileContent, SeenFile>()
  /** Whether an excluded directory holds something that is included again. */
  readonly #holdsIncluded = new Map<string, boolean>()

  /** `root` is absolute. */
  constructor(root: string, ignore: PatternMatcher, { digests, readsBackwards = false }: { readonly digests?: FileDigests; readonly readsBackwards?: boolean | undefined } = {}) {
    this.#digests = digests
    this.#readsBackwards = readsBackwards
    this.#root = Buffer.from(root === '/' ? '' : root)
    this.#rootPath = root
    this.#ignore = ignore
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

  async readFile(path: Buffer | string, maxBytes: number): Promise<Buffer> {
    const resolved = this.#resolve(asBuffer(path))
    const entry = this.#lstat(resolved)
    if (entry?.type !== 'file') throw new ContextUnreadable(resolved.toString(), entry === undefined ? 'it does not exist' : `it is a ${entry.type}`)
    if (entry.sizeBytes > maxBytes) throw new ContextUnreadable(resolved.toString(), `it has ${entry.sizeBytes} bytes, more than ${maxBytes}`)
    return readFile(this.#hostPath(resolved))
  }

  xattrs(path: Buffer | string): Promise<ReadonlyMap<string, Buffer>> {
    const file = asBuffer(path)
    if (this.#lastFile?.path === file && this.#lastFile.digest !== undefined) return noXattrs
    const value = readXattr(this.#hostPath(file), capabilityXattr)
    if (value === undefined) return noXattrs
    this.#withXattrs.add(file.toString('latin1'))
    return Promise.resolve(new Map([[capabilityXattr, value]]))
  }

  content(path: Buffer | string): Promise<FileContent> {
    const file = asBuffer(path)
    if (this.#lastFile?.path !== file) {
      const entry = this.#lstat(file)
      if (entry?.type !== 'file') throw new ContextUnreadable(file.toString(), entry === undefined ? 'it does not exist' : `it is a ${entry.type}`)
    }
    const seen = this.#lastFile
    if (seen === undefined) throw new TypeError('a file was looked at and not remembered')
    const content: FileContent = { kind: 'host', root: this.#rootPath, path: file.subarray(1), sizeBytes: seen.sizeBytes }
    this.#seen.set(content, seen)
    return Promise.resolve(content)
  }

  /** The digest of a regular file's content, known from an earlier build if the file did not change. */
  contentDigest(path: Buffer, content: FileContent): string {
    if (this.#digests === undefined || (this.#withXattrs.size > 0 && this.#withXattrs.has(path.toString('latin1')))) return contentDigest(content)
    const seen = this.#seen.get(content)
    if (seen === undefined) return contentDigest(content)
    return seen.digest ?? this.#digests.get(path, seen.identity, () => contentDigest(content))
  }

  #lstat(path: Buffer): TreeEntry | undefined {
    if (!this.#isVisible(path)) return undefined
    try {
      const stats = lstatSync(this.#hostPath(path), { bigint: true })
      const entry = treeEntry(stats, stats.isSymbolicLink() ? readlinkSync(this.#hostPath(path), { encoding: 'buffer' }) : undefined)
      if (entry.type === 'file') this.#lastFile = this.#remember(path, entry, stats)
      return { ...entry, uid: 0, gid: 0 }
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw new ContextUnreadable(path.toString(), 'it cannot be examined', { cause: error })
    }
  }

  #remember(path: Buffer, entry: TreeEntry, stats: BigIntStats): SeenFile {
    const identity = identifyFile(entry, stats)
    return { path, sizeBytes: entry.sizeBytes, identity, digest: this.#digests?.find(path, identity) }
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
