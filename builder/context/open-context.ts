import { statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { Task } from '../../core/task.ts'
import { findNearest } from '../../core/nearest.ts'
import type { FileDigestRecords, RootfsView } from '../../storage/index.ts'
import { openCompressed, peek } from '../archive/open-compressed.ts'
import { cleanSource } from '../copy/select.ts'
import { isTarHeader, tarHeaderBytes } from '../copy/tar-header.ts'
import type { DockerfileSource } from '../dockerfile/instruction.ts'
import { ContextUnreadable } from './errors.ts'
import { DirectoryView } from './directory-view.ts'
import { parseDockerignore } from './dockerignore.ts'
import { download } from './download.ts'
import { FileDigests } from './file-digests.ts'
import type { GitReference } from './git-reference.ts'
import { isGitReference, parseGitReference } from './git-reference.ts'
import { isDirectory, readText, shownPath, suggestion } from './local-files.ts'
import type { PatternMatcher } from './pattern-matcher.ts'

/** What a build is given: its Dockerfile, and the files that COPY may see. */
export interface BuildContext {
  readonly dockerfile: DockerfileSource
  readonly view: RootfsView
  /** Of a local folder that has an ignore file. */
  readonly ignore: PatternMatcher | undefined
  /** Of a local folder. */
  readonly digests: FileDigests | undefined
}

export interface ContextRequest {
  /** A folder, `-` for standard input, an address of http(s), or a git repository. */
  readonly context: string
  /** A path, relative to the working directory for a folder and to the context otherwise; `-` for standard input; an address. */
  readonly dockerfile?: string
  readonly stdin?: AsyncIterable<Uint8Array>
  /** Reads the directories of a folder from their ends, as another filesystem might list them. It must change nothing. */
  readonly readsBackwards?: boolean
}

/** How contexts that are no folder become trees. */
export interface ContextTrees {
  /** The tree of an uncompressed tar. */
  readonly unpack: (tar: AsyncIterable<Uint8Array>, task: Task) => Promise<RootfsView>
  readonly checkOut: (reference: GitReference, task: Task) => Promise<RootfsView>
  readonly empty: RootfsView
  readonly fileDigests: FileDigestRecords
}

const maxDockerfileBytes = 16 * 1024 * 1024
const maxIgnoreBytes = 4 * 1024 * 1024
const maxContextBytes = 2 ** 40

/** @throws {ContextUnreadable} @throws {DownloadFailed} @throws {GitFailed} @throws {HostileArchive} */
export async function openContext(request: ContextRequest, trees: ContextTrees, task: Task): Promise<BuildContext> {
  const { context, dockerfile } = request
  if (context === '-' && dockerfile === '-') throw new ContextUnreadable('-', 'standard input cannot be both the context and the Dockerfile')
  if (context === '-') return openStream(request, { name: 'standard input', bytes: stdinOf(request) }, { trees, task })
  if (isDirectory(resolve(context))) return openFolder(request, { trees, task })
  const git = context.startsWith('github.com/') ? `https://${context}` : context
  if (isGitReference(git) || git !== context) {
    const reference = parseGitReference(git)
    if ('problem' in reference) throw new ContextUnreadable(context, reference.problem)
    return openTree(request, await trees.checkOut(reference, task), task)
  }
  if (/^https?:\/\//u.test(context)) {
    const answer = await download({ url: context }, task)
    if (answer.kind === 'unchanged') throw new TypeError('an answer to a question that was not asked')
    return openStream(request, { name: context, bytes: answer.bytes }, { trees, task })
  }
  throw new ContextUnreadable(context, statSync(context, { throwIfNoEntry: false }) === undefined ? `there is no folder of this name${suggestion(resolve(context))}` : 'it is no folder')
}

async function openFolder(request: ContextRequest, { trees, task }: Opening): Promise<BuildContext> {
  const root = resolve(request.context)
  const dockerfile = await readLocalDockerfile(root, request, task)
  const ignoreName = `${basename(dockerfile.path ?? '')}.dockerignore`
  const own = dockerfile.path === undefined ? undefined : readText(resolve(dirname(dockerfile.path), ignoreName), maxIgnoreBytes)
  const text = own ?? readText(resolve(root, '.dockerignore'), maxIgnoreBytes)
  const ignore = text === undefined ? undefined : parseDockerignore(text)
  const digests = new FileDigests(trees.fileDigests, root)
  return { dockerfile: dockerfile.source, view: new DirectoryView(root, ignore ?? parseDockerignore(''), { digests, readsBackwards: request.readsBackwards, ...(own === undefined ? {} : { ignoreName }) }), ignore, digests }
}

/** A folder that COPY --from may see, under its own ignore file. */
export function openNamedFolder(path: string): RootfsView {
  const root = resolve(path)
  if (!isDirectory(root)) throw new ContextUnreadable(path, `there is no folder of this name${suggestion(root)}`)
  return new DirectoryView(root, parseDockerignore(readText(resolve(root, '.dockerignore'), maxIgnoreBytes) ?? ''))
}

interface LocalDockerfile {
  readonly source: DockerfileSource
  /** undefined for one that is no file here. */
  readonly path: string | undefined
}

/** Docker falls back to the lower-case name; Containerfile is Buildah's. */
const defaultNames = ['Dockerfile', 'dockerfile', 'Containerfile'] as const

async function readLocalDockerfile(root: string, request: ContextRequest, task: Task): Promise<LocalDockerfile> {
  const elsewhere = await readOtherDockerfile(request, task)
  if (elsewhere !== undefined) return { source: elsewhere, path: undefined }
  const path = request.dockerfile === undefined ? defaultDockerfile(root) : resolve(request.dockerfile)
  const text = readText(path, maxDockerfileBytes)
  if (text === undefined) throw new ContextUnreadable(shownPath(path), `there is no such file${suggestion(path)}${request.dockerfile === undefined ? `; -f FILE names another than ${defaultNames.join(', ')}` : ''}`)
  return { source: { name: shownPath(path), text }, path }
}

/** A Dockerfile from standard input or an address. */
async function readOtherDockerfile(request: ContextRequest, task: Task): Promise<DockerfileSource | undefined> {
  const { dockerfile } = request
  if (dockerfile === '-') return { name: 'standard input', text: decodeText('standard input', await readAll('standard input', stdinOf(request))) }
  if (dockerfile === undefined || !/^https?:\/\//u.test(dockerfile)) return undefined
  const answer = await download({ url: dockerfile }, task)
  if (answer.kind === 'unchanged') throw new TypeError('an answer to a question that was not asked')
  return { name: dockerfile, text: decodeText(dockerfile, await readAll(dockerfile, answer.bytes)) }
}

function defaultDockerfile(root: string): string {
  const exists = (name: string): boolean => statSync(resolve(root, name), { throwIfNoEntry: false }) !== undefined
  return resolve(root, defaultNames.find(exists) ?? defaultNames[0])
}

interface Opening { readonly trees: ContextTrees; readonly task: Task }

/** A tar, compressed or not, is a context; anything else is a Dockerfile without one. */
async function openStream(request: ContextRequest, { name, bytes }: { readonly name: string; readonly bytes: AsyncIterable<Uint8Array> }, { trees, task }: Opening): Promise<BuildContext> {
  const { start, rest } = await peek(await openCompressed(bytes, maxContextBytes, task), tarHeaderBytes)
  if (isTarHeader(start.subarray(0, tarHeaderBytes))) return openTree(request, await trees.unpack(rest, task), task)
  if (request.dockerfile !== undefined) throw new ContextUnreadable(name, `it is no tar, so that there is no "${request.dockerfile}" in it`)
  return { dockerfile: { name, text: decodeText(name, await readAll(name, rest)) }, view: trees.empty, ignore: undefined, digests: undefined }
}

/** Links in the tree lead nowhere but in the tree. */
async function openTree(request: ContextRequest, view: RootfsView, task: Task): Promise<BuildContext> {
  const elsewhere = await readOtherDockerfile(request, task)
  if (elsewhere !== undefined) return { dockerfile: elsewhere, view, ignore: undefined, digests: undefined }
  const names = request.dockerfile === undefined ? defaultNames : [request.dockerfile]
  for (const name of names) {
    const path = await view.resolve(cleanSource(name))
    const entry = await view.lstat(path)
    if (entry === undefined) continue
    if (entry.type !== 'file') throw new ContextUnreadable(name, `it is a ${entry.type}`)
    return { dockerfile: { name, text: decodeText(name, await view.readFile(path, maxDockerfileBytes)) }, view, ignore: undefined, digests: undefined }
  }
  const [wanted = ''] = names
  const near = findNearest(basename(wanted), (await view.list('/')).map(String))
  throw new ContextUnreadable(wanted, `there is no such file${near === undefined ? '' : `; did you mean "${near}"?`}`)
}

function stdinOf({ stdin }: ContextRequest): AsyncIterable<Uint8Array> {
  if (stdin === undefined) throw new ContextUnreadable('-', 'there is no standard input')
  return stdin
}

async function readAll(name: string, bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of bytes) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > maxDockerfileBytes) throw new ContextUnreadable(name, `it has more than ${maxDockerfileBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function decodeText(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new ContextUnreadable(name, 'it is not UTF-8 text', { cause: error })
  }
}
