import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'

/** What an image comes to, in a form that two builders' images can be compared in: times and compression are left out. */
export interface ImageFacts {
  readonly config: unknown
  /** By path, one line each. */
  readonly tree: Readonly<Record<string, string>>
}

interface Node {
  readonly type: string
  readonly mode: number
  readonly owner: string
  readonly detail: string
  readonly xattrs: string
  /** The same object for all names of one file. */
  readonly file: object
}

interface DockerEntry { readonly Config: string; readonly RepoTags: readonly string[] | null; readonly Layers: readonly string[] }

/** Reads an archive of `docker save`. @returns facts by name */
export async function readImages(path: string): Promise<Map<string, ImageFacts>> {
  const files = new Map<string, Buffer>()
  const links = new Map<string, string>()
  for await (const { header, body } of readTar(createReadStream(path))) {
    if (header.type === 'file') files.set(posix.normalize(header.name), body)
    if (header.type === 'symlink') links.set(posix.normalize(header.name), posix.join(posix.dirname(header.name), header.linkname ?? ''))
  }
  const get = (name: string): Buffer => files.get(links.get(name) ?? name) ?? Buffer.alloc(0)
  const entries = JSON.parse(get('manifest.json').toString()) as DockerEntry[]
  const images = new Map<string, ImageFacts>()
  for (const entry of entries) {
    const tree = new Map<string, Node>()
    for (const layer of entry.Layers) await applyLayer(tree, get(posix.normalize(layer)))
    const facts = { config: configFacts(JSON.parse(get(entry.Config).toString()) as Record<string, unknown>), tree: describe(tree) }
    for (const name of entry.RepoTags ?? []) images.set(name.replace(/^(?:docker\.io\/)?(?:library\/)?/u, ''), facts)
  }
  return images
}

interface Header { readonly name: string; readonly type?: string | null; readonly linkname?: string | null; readonly mode?: number; readonly uid?: number; readonly gid?: number; readonly devmajor?: number; readonly devminor?: number; readonly pax?: Record<string, string> | null }

async function* readTar(stream: Readable): AsyncGenerator<{ header: Header; body: Buffer }> {
  const reader = extract()
  stream.on('error', (error) => reader.destroy(error))
  stream.pipe(reader)
  for await (const entry of reader) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    yield { header: entry.header as Header, body: Buffer.concat(chunks) }
  }
}

async function applyLayer(tree: Map<string, Node>, bytes: Buffer): Promise<void> {
  const stream = Readable.from([bytes])
  const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? stream.pipe(createGunzip()) : stream
  const added: [string, Node][] = []
  for await (const { header, body } of readTar(plain)) {
    const path = posix.normalize(`/${header.name}`).replace(/(?<=.)\/$/u, '')
    const base = posix.basename(path)
    if (base === '.wh..wh..opq') removeBelow(tree, posix.dirname(path))
    else if (base.startsWith('.wh.')) {
      const gone = posix.join(posix.dirname(path), base.slice(4))
      tree.delete(gone)
      removeBelow(tree, gone)
    } else if (path !== '/') added.push([path, nodeOf(header, body, new Map(added), tree)])
  }
  for (const [path, node] of added) {
    if (node.type !== 'directory') removeBelow(tree, path)
    tree.set(path, node)
  }
}

function nodeOf(header: Header, body: Buffer, added: ReadonlyMap<string, Node>, tree: ReadonlyMap<string, Node>): Node {
  const type = header.type ?? 'file'
  if (type === 'link') {
    const target = posix.normalize(`/${header.linkname ?? ''}`)
    const found = added.get(target) ?? tree.get(target)
    if (found === undefined) throw new Error(`hard link to ${target}, which is not there`)
    return found
  }
  const xattrs = Object.entries(header.pax ?? {}).filter(([key]) => key.startsWith('SCHILY.xattr.')).map(([key, value]) => `${key.slice(13)}=${Buffer.from(value).toString('hex')}`).sort()
  return { type, mode: (header.mode ?? 0) & 0o7777, owner: `${header.uid ?? 0}:${header.gid ?? 0}`, detail: detailOf(type, header, body), xattrs: xattrs.join(' '), file: {} }
}

function detailOf(type: string, header: Header, body: Buffer): string {
  if (type === 'file') return `${body.length} ${createHash('sha256').update(body).digest('hex').slice(0, 16)}`
  if (type === 'symlink') return `-> ${header.linkname ?? ''}`
  return type.endsWith('device') ? `${header.devmajor ?? 0}:${header.devminor ?? 0}` : ''
}

function removeBelow(tree: Map<string, Node>, path: string): void {
  const prefix = path === '/' ? '/' : `${path}/`
  for (const known of tree.keys()) if (known.startsWith(prefix)) tree.delete(known)
}

function describe(tree: ReadonlyMap<string, Node>): Record<string, string> {
  const names = new Map<object, string[]>()
  for (const [path, { file }] of tree) names.set(file, [...names.get(file) ?? [], path])
  return Object.fromEntries([...tree].sort(([one], [other]) => (one < other ? -1 : 1)).map(([path, node]) => {
    const others = (names.get(node.file) ?? []).filter((name) => name !== path).sort()
    const mode = node.type === 'symlink' ? '' : node.mode.toString(8)
    return [path, [node.type, mode, node.owner, node.detail, node.xattrs, ...others.map((name) => `= ${name}`)].filter((part) => part !== '').join(' ')]
  }))
}

/** Docker writes nothing, null and empty alike. */
function configFacts(config: Record<string, unknown>): unknown {
  const run = (config['config'] ?? {}) as Record<string, unknown>
  const isSaid = ([, value]: [string, unknown]): boolean => value !== null && value !== '' && value !== false && !(typeof value === 'object' && Object.keys(value).length === 0)
  const history = (config['history'] ?? []) as { created_by?: string; empty_layer?: boolean; author?: string }[]
  return {
    config: Object.fromEntries(Object.entries(run).filter(isSaid).sort(([one], [other]) => (one < other ? -1 : 1))),
    author: config['author'] ?? history.findLast((entry) => entry.author !== undefined)?.author ?? '',
    os: config['os'], architecture: config['architecture'],
    layers: ((config['rootfs'] as { diff_ids?: unknown[] }).diff_ids ?? []).length,
    history: history.map(({ created_by: createdBy = '', empty_layer: isEmpty = false }) => `${isEmpty ? '  ' : '* '}${createdBy.replace(/ # buildkit$/u, '')}`),
  }
}
