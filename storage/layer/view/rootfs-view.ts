import type { BigIntStats } from 'node:fs'
import { lstatSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { LinkLoop, StreamTooLarge, UnexpectedEntry } from '../../errors.ts'
import type { RootfsView, TreeEntry } from '../../layer-store.ts'
import type { OverlayXattrs } from '../../tree/tree-helper.ts'
import type { FileContent } from '../changeset/changeset-entry.ts'
import { readXattrs } from '../read-xattrs.ts'
import { hostPath, MergedDirectories } from './merged-directories.ts'

const maxLinks = 40

/** Reads what the layers at `roots`, top first, would show when mounted. */
export function createRootfsView(roots: readonly string[], xattrs: OverlayXattrs): RootfsView {
  return new OverlayView(roots.map((root) => Buffer.from(root).toString('latin1')), xattrs)
}

class OverlayView implements RootfsView {
  readonly #roots: readonly string[]
  readonly #directories: MergedDirectories
  readonly #overlayPrefix: string

  constructor(roots: readonly string[], xattrs: OverlayXattrs) {
    this.#roots = roots
    this.#directories = new MergedDirectories(roots, xattrs)
    this.#overlayPrefix = `${xattrs}.overlay.`
  }

  lstat(path: Buffer | string): Promise<TreeEntry | undefined> {
    return settle(() => {
      const place = this.#locate(path)
      return place === undefined ? undefined : place === 'empty root' ? emptyRoot : readEntry(hostPath(place))
    })
  }

  resolve(path: Buffer | string): Promise<Buffer> {
    return settle(() => Buffer.from(`/${this.#resolve(split(path), toBytes(path)).join('/')}`, 'latin1'))
  }

  list(path: Buffer | string): Promise<Buffer[]> {
    return settle(() => {
      const components = this.#resolveParent(path)
      const found = this.#directories.find(components)
      if (found === undefined) throw new UnexpectedEntry(toBytes(path), 'directory', this.#typeAt(components))
      return [...found.places.keys()].map((name) => Buffer.from(name, 'latin1')).sort((one, other) => Buffer.compare(one, other))
    })
  }

  async readFile(path: Buffer | string, maxBytes: number): Promise<Buffer> {
    const { place, sizeBytes } = this.#locateFile(path)
    if (sizeBytes > maxBytes) throw new StreamTooLarge(maxBytes)
    return readFile(hostPath(place))
  }

  xattrs(path: Buffer | string): Promise<ReadonlyMap<string, Buffer>> {
    return settle(() => {
      const place = this.#locate(path)
      if (place === undefined) throw new UnexpectedEntry(toBytes(path), 'file', 'missing')
      return place === 'empty root' ? new Map<string, Buffer>() : this.#unescape(readXattrs(hostPath(place)))
    })
  }

  content(path: Buffer | string): Promise<FileContent> {
    return settle(() => {
      const { place, sizeBytes } = this.#locateFile(path)
      const root = this.#roots.find((candidate) => place.startsWith(`${candidate}/`)) ?? ''
      return { kind: 'host', root: hostPath(root).toString(), path: hostPath(place.slice(root.length + 1)), sizeBytes }
    })
  }

  /** The host path of an entry; undefined for nothing. */
  #locate(path: Buffer | string): string | undefined {
    const components = this.#resolveParent(path)
    const name = components.at(-1)
    if (name === undefined) return this.#roots[0] ?? 'empty root'
    const above = this.#directories.find(components.slice(0, -1))
    const part = above?.places.get(name)
    return part === undefined ? undefined : `${part}/${name}`
  }

  #locateFile(path: Buffer | string): { readonly place: string; readonly sizeBytes: number } {
    const place = this.#locate(path)
    const entry = place === undefined || place === 'empty root' ? undefined : readEntry(hostPath(place))
    if (place === undefined || entry?.type !== 'file') throw new UnexpectedEntry(toBytes(path), 'file', entry?.type ?? (place === undefined ? 'missing' : 'directory'))
    return { place, sizeBytes: entry.sizeBytes }
  }

  #typeAt(components: readonly string[]): string {
    const above = this.#directories.find(components.slice(0, -1))
    const name = components.at(-1) ?? ''
    const part = above?.places.get(name)
    return part === undefined ? 'missing' : readEntry(hostPath(`${part}/${name}`)).type
  }

  /** Everything but the last component is resolved; `..` and `.` at the end have no name and are resolved too. */
  #resolveParent(path: Buffer | string): string[] {
    const components = split(path)
    const name = components.at(-1)
    if (name === undefined || name === '..') return this.#resolve(components, toBytes(path))
    return [...this.#resolve(components.slice(0, -1), toBytes(path)), name]
  }

  #resolve(components: readonly string[], path: Buffer): string[] {
    const pending = components.toReversed()
    let resolved: string[] = []
    let links = 0
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === '..') {
        resolved.pop()
        continue
      }
      const part = this.#directories.find(resolved)?.places.get(name)
      const target = part === undefined ? undefined : readTarget(`${part}/${name}`)
      if (target === undefined) {
        resolved.push(name)
        continue
      }
      links += 1
      if (links > maxLinks) throw new LinkLoop(path)
      if (target.startsWith('/')) resolved = []
      pending.push(...split(Buffer.from(target, 'latin1')).toReversed())
    }
    return resolved
  }

  #unescape(found: ReadonlyMap<string, Buffer>): Map<string, Buffer> {
    const escaped = `${this.#overlayPrefix}overlay.`
    const kept = [...found].filter(([name]) => !name.startsWith(this.#overlayPrefix) || name.startsWith(escaped))
    return new Map(kept.map(([name, value]) => [name.startsWith(escaped) ? `${this.#overlayPrefix}${name.slice(escaped.length)}` : name, value]))
  }
}

const emptyRoot: TreeEntry = {
  type: 'directory', mode: 0o755, uid: 0, gid: 0, sizeBytes: 0, mtimeNs: 0n, major: 0, minor: 0, fileId: '', nlink: 2, target: undefined,
}

/** Reading is quick and needs no waiting; what it throws has to reach the caller as a rejection all the same. */
function settle<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => { resolve(work()) })
}

function toBytes(path: Buffer | string): Buffer {
  return typeof path === 'string' ? Buffer.from(path) : path
}

function split(path: Buffer | string): string[] {
  return toBytes(path).toString('latin1').split('/').filter((name) => name !== '' && name !== '.')
}

/** undefined for what is no symbolic link */
function readTarget(path: string): string | undefined {
  return lstatSync(hostPath(path)).isSymbolicLink() ? readlinkSync(hostPath(path), 'latin1') : undefined
}

function readEntry(path: Buffer): TreeEntry {
  const stats = lstatSync(path, { bigint: true })
  return {
    type: typeOf(stats),
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    sizeBytes: Number(stats.size),
    mtimeNs: stats.mtimeNs,
    major: Number((stats.rdev >> 8n & 0xfffn) | (stats.rdev >> 32n & ~0xfffn)),
    minor: Number((stats.rdev & 0xffn) | (stats.rdev >> 12n & ~0xffn)),
    fileId: `${stats.dev}:${stats.ino}`,
    nlink: Number(stats.nlink),
    target: stats.isSymbolicLink() ? readlinkSync(path, 'buffer') : undefined,
  }
}

function typeOf(stats: BigIntStats): TreeEntry['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isCharacterDevice()) return 'char'
  if (stats.isBlockDevice()) return 'block'
  return stats.isFIFO() ? 'fifo' : 'socket'
}
