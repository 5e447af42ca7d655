import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { LowerLayer } from '../../../native/index.ts'
import { ErofsTree } from '../../erofs/erofs-tree.ts'
import { LinkLoop, StreamTooLarge, UnexpectedEntry } from '../../errors.ts'
import type { RootfsView, TreeEntry } from '../../layer-store.ts'
import type { OverlayXattrs } from '../../tree/tree-helper.ts'
import type { FileContent } from '../changeset/changeset-entry.ts'
import { DirectoryTree } from './directory-tree.ts'
import type { LayerTree } from './layer-tree.ts'
import { MergedDirectories } from './merged-directories.ts'

const maxLinks = 40

/** Reads what layers, top first, would show when mounted. */
export function createRootfsView(lowers: readonly LowerLayer[], xattrs: OverlayXattrs): RootfsView {
  const layers = lowers.map((lower) => lower.kind === 'directory' ? new DirectoryTree(lower.path) : new ErofsTree(lower.path, lower.tar))
  return new StackView(layers, xattrs)
}

/** An entry in the layer that decides it. */
interface Place { readonly layer: LayerTree; readonly path: string; readonly entry: TreeEntry }

class StackView implements RootfsView {
  readonly #layers: readonly LayerTree[]
  readonly #directories: MergedDirectories
  readonly #overlayPrefix: string

  constructor(layers: readonly LayerTree[], xattrs: OverlayXattrs) {
    this.#layers = layers
    this.#directories = new MergedDirectories(layers, xattrs)
    this.#overlayPrefix = `${xattrs}.overlay.`
  }

  lstat(path: Buffer | string): Promise<TreeEntry | undefined> {
    return settle(() => {
      const components = this.#resolveParent(path)
      return components.length === 0 && this.#layers.length === 0 ? emptyRoot : this.#locate(components)?.entry
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

  readFile(path: Buffer | string, maxBytes: number): Promise<Buffer> {
    return settle(() => {
      const { layer, path: place, entry } = this.#locateFile(path)
      if (entry.sizeBytes > maxBytes) throw new StreamTooLarge(maxBytes)
      return readContent(layer.content(place))
    })
  }

  xattrs(path: Buffer | string): Promise<ReadonlyMap<string, Buffer>> {
    return settle(() => {
      const components = this.#resolveParent(path)
      if (components.length === 0 && this.#layers.length === 0) return new Map<string, Buffer>()
      const place = this.#locate(components)
      if (place === undefined) throw new UnexpectedEntry(toBytes(path), 'file', 'missing')
      return this.#unescape(place.layer.xattrs(place.path))
    })
  }

  content(path: Buffer | string): Promise<FileContent> {
    return settle(() => {
      const { layer, path: place } = this.#locateFile(path)
      return layer.content(place)
    })
  }

  /** undefined for nothing; the root of no layers at all is nowhere. */
  #locate(components: readonly string[]): Place | undefined {
    const name = components.at(-1)
    const layer = name === undefined ? this.#layers[0] : this.#directories.find(components.slice(0, -1))?.places.get(name)
    const path = components.join('/')
    const entry = layer?.lstat(path)
    return layer === undefined || entry === undefined ? undefined : { layer, path, entry }
  }

  #locateFile(path: Buffer | string): Place {
    const components = this.#resolveParent(path)
    const place = this.#locate(components)
    if (place?.entry.type !== 'file') throw new UnexpectedEntry(toBytes(path), 'file', place?.entry.type ?? (components.length === 0 ? 'directory' : 'missing'))
    return place
  }

  #typeAt(components: readonly string[]): string {
    return this.#locate(components)?.entry.type ?? 'missing'
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
      const target = this.#locate([...resolved, name])?.entry.target?.toString('latin1')
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

/** Without the thread pool, whose turns take longer than reading a file as small as these are. */
function readContent(content: FileContent): Buffer {
  if (content.kind === 'bytes') return Buffer.from(content.bytes)
  const [path, offset] = content.kind === 'range' ? [content.file, content.offset] : [Buffer.concat([Buffer.from(join(content.root, '/')), content.path]), 0]
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(content.sizeBytes)
    for (let done = 0; done < bytes.length;) {
      const bytesRead = readSync(fd, bytes, done, bytes.length - done, offset + done)
      if (bytesRead === 0) return bytes.subarray(0, done)
      done += bytesRead
    }
    return bytes
  } finally {
    closeSync(fd)
  }
}
