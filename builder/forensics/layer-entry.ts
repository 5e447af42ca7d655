import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { extract as createExtract } from 'tar-stream'
import type { Task } from '../../core/task.ts'
import type { ChainId } from '../../oci/digest.ts'
import type { Store } from '../../storage/index.ts'
import { findLayerTar } from '../../storage/index.ts'
import { contentDigest } from '../copy/content-digest.ts'
import { MalformedArchive } from '../archive/errors.ts'
import { readTarHeaders } from './tar-headers.ts'

/** One entry of a layer's changeset, as people look at it. */
export interface LayerEntry {
  /** Absolute; of a whiteout what it deletes, of an opaque marker its directory. */
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink' | 'hard-link' | 'char' | 'block' | 'fifo' | 'whiteout' | 'opaque'
  /** Permission bits with setuid, setgid, sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly mtime: string | undefined
  /** Of a symlink, and of a hard link the path whose file it shares. */
  readonly target: string | undefined
  /** Names and values in base64. */
  readonly xattrs: Readonly<Record<string, string>>
  /** Of a file's bytes. */
  readonly digest: string | undefined
}

/** One character a byte: names need not be UTF-8. */
const extractOptions = { filenameEncoding: 'latin1', highWaterMark: 64 * 1024 }

type Extracted = ReturnType<typeof createExtract> extends AsyncIterable<infer Item> ? Item : never

const types: Readonly<Record<string, LayerEntry['type']>> = {
  file: 'file', 'contiguous-file': 'file', directory: 'directory', symlink: 'symlink', link: 'hard-link', 'character-device': 'char', 'block-device': 'block', fifo: 'fifo',
}
const xattrPrefix = 'SCHILY.xattr.'

/** Reads a changeset to its end. Only the entries are kept. @throws {MalformedArchive} */
export function readLayerEntries(changeset: AsyncIterable<Uint8Array>, task: Task): Promise<LayerEntry[]> {
  return readEntries(Readable.from(changeset, { objectMode: false, signal: task.signal }), describe, task)
}

/** The same of a layer in the store. Where its tar is kept only headers are read, and a content when somebody asks for its digest, while the store is open. */
export function readStoredEntries(store: Store, chainId: ChainId, task: Task): Promise<LayerEntry[]> {
  const tar = findLayerTar(store, chainId)
  if (tar === undefined) return readLayerEntries(store.layers.changeset(chainId, task), task)
  return readEntries(Readable.from(readTarHeaders(tar), { objectMode: false, signal: task.signal }), (item) => describeUnread(item, tar), task)
}

async function readEntries(source: Readable, describeItem: (item: Extracted) => Promise<LayerEntry>, task: Task): Promise<LayerEntry[]> {
  const extract = createExtract(extractOptions)
  source.on('error', (error) => extract.destroy(error))
  source.pipe(extract)
  const entries: LayerEntry[] = []
  try {
    for await (const item of extract) entries.push(await describeItem(item))
  } catch (error) {
    task.signal.throwIfAborted()
    throw new MalformedArchive('one of its layers is no complete tar', { cause: error })
  } finally {
    source.destroy()
  }
  return entries
}

async function describe(item: Extracted): Promise<LayerEntry> {
  const header = parseHeader(item.header)
  const { digest, sizeBytes } = await digestContent(item)
  return asWhiteout({ ...header, sizeBytes, digest: header.type === 'file' ? digest : undefined })
}

function describeUnread(item: Extracted, tar: string): Promise<LayerEntry> {
  const header = parseHeader(item.header)
  const { byteOffset: offset, size: sizeBytes } = parsePlace(item.header)
  item.resume()
  let digest: string | undefined
  return Promise.resolve(asWhiteout({
    ...header, sizeBytes,
    get digest() { return header.type === 'file' ? digest ??= `sha256:${contentDigest({ kind: 'range', file: tar, offset, sizeBytes })}` : undefined },
  }))
}

/** Where the content lies in the tar. */
function parsePlace(raw: unknown): { readonly byteOffset: number; readonly size: number } {
  return raw as { readonly byteOffset: number; readonly size: number }
}

interface RawHeader {
  readonly name: string
  readonly type: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: Date | undefined
  readonly linkname: string | null
  readonly pax: Readonly<Record<string, string>> | null
}

function parseHeader(raw: unknown): Omit<LayerEntry, 'sizeBytes' | 'digest'> {
  const { name, type, mode, uid, gid, mtime, linkname, pax } = raw as RawHeader
  const kind = types[type] ?? 'file'
  const target = pax?.['linkpath'] ?? (linkname === null ? undefined : decode(linkname))
  return {
    path: absolute(pax?.['path'] ?? decode(name)),
    type: kind, mode: mode & 0o7777, uid, gid, mtime: mtime?.toISOString(),
    target: kind === 'hard-link' && target !== undefined ? absolute(target) : target,
    xattrs: readXattrs(pax ?? {}),
  }
}

async function digestContent(item: Extracted): Promise<{ digest: string; sizeBytes: number }> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of item as AsyncIterable<Uint8Array>) {
    hash.update(chunk)
    sizeBytes += chunk.byteLength
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes }
}

/** @see image-spec layer.md "Whiteouts" */
function asWhiteout(entry: LayerEntry): LayerEntry {
  const { dir, base } = posix.parse(entry.path)
  if (base === '.wh..wh..opq') return { ...entry, type: 'opaque', path: dir, digest: undefined }
  if (!base.startsWith('.wh.') || base.startsWith('.wh..wh.')) return entry
  return { ...entry, type: 'whiteout', path: posix.join(dir, base.slice('.wh.'.length)), digest: undefined }
}

function readXattrs(pax: Readonly<Record<string, string>>): Record<string, string> {
  const found = Object.entries(pax).filter(([key]) => key.startsWith(xattrPrefix))
  return Object.fromEntries(found.map(([key, value]) => [key.slice(xattrPrefix.length), Buffer.from(value).toString('base64')]))
}

/** Headers hold bytes, which are UTF-8 as a rule; what is not is shown byte by byte. */
function decode(latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1')
  const text = bytes.toString('utf8')
  return Buffer.from(text).equals(bytes) ? text : latin1
}

function absolute(path: string): string {
  const normal = posix.normalize(`/${path}`)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}
