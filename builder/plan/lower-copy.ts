import { posix } from 'node:path'
import type { GitReference } from '../context/git-reference.ts'
import { isGitReference, parseGitReference } from '../context/git-reference.ts'
import { DockerfileError } from '../dockerfile/errors.ts'
import type { Place } from '../dockerfile/errors.ts'
import type { AddInstruction, CopyInstruction, CopySource, DockerfileSource, Word } from '../dockerfile/instruction.ts'
import type { Checksum } from '../dockerfile/values/checksum.ts'
import { parseChecksum } from '../dockerfile/values/checksum.ts'
import { parseChmod } from '../dockerfile/values/chmod.ts'
import { parseChown } from '../dockerfile/values/chown.ts'
import type { LoweredStep } from './lower-steps.ts'
import type { CopyNode, CopyNodeSource, CopyOrigin, GitNode, HttpNode, NodeId, PlanNode } from './plan.ts'
import type { StageState } from './stage-state.ts'

export interface CopyContext {
  readonly source: DockerfileSource
  readonly origin: CopyOrigin
  readonly addNode: (node: PlanNode) => NodeId
}

/** @throws {DockerfileError} */
export function lowerCopy(state: StageState, instruction: CopyInstruction | AddInstruction, context: CopyContext): LoweredStep {
  const place = (word: { readonly range: Place['range'] }): Place => ({ source: context.source, range: word.range })
  const { chown, chmod, destination } = instruction
  const node: CopyNode = {
    kind: 'copy',
    base: state.rootfs,
    from: context.origin,
    sources: lowerSources(instruction, context),
    destination: absoluteDestination(state, destination.text),
    chown: chown === undefined ? undefined : parseChown(chown.text, place(chown)),
    chmod: chmod === undefined ? undefined : parseChmod(chmod.text, place(chmod)),
    excludes: instruction.excludes.map(({ text }) => text),
    keepsParents: instruction.kind === 'COPY' && instruction.parents,
    isLink: instruction.link,
    unpacks: { local: instruction.kind === 'ADD' && instruction.unpack !== false, remote: instruction.kind === 'ADD' && instruction.unpack === true },
  }
  return { node, createdBy: showCopy(instruction) }
}

/** As Docker's builder shows it: of the flags only those that say what the files will be like. */
function showCopy({ kind, chown, chmod, sources, destination }: CopyInstruction | AddInstruction): string {
  const flags = [...chown === undefined ? [] : [`--chown=${chown.text}`], ...chmod === undefined ? [] : [`--chmod=${chmod.text}`]]
  const paths = sources.flatMap((source) => source.kind === 'path' ? source.path.text : [])
  const heredocs = sources.flatMap((source) => source.kind === 'heredoc' ? `<<${source.heredoc.name}` : [])
  return [kind, ...flags, ...paths, ...heredocs, destination.text].join(' ')
}

function lowerSources(instruction: CopyInstruction | AddInstruction, context: CopyContext): CopyNodeSource[] {
  if (instruction.kind === 'COPY') return instruction.sources.map(localSource)
  const { checksum, sources } = instruction
  const pinned = checksum === undefined ? undefined : { word: checksum, value: parseChecksum(checksum.text, { source: context.source, range: checksum.range }) }
  if (pinned !== undefined && sources.length !== 1) refuse(context, pinned.word, { problem: '--checksum stands beside several sources', remedy: 'add each with its own checksum' })
  return sources.map((source) => addedSource(source, { instruction, pinned, context }))
}

interface Added {
  readonly instruction: AddInstruction
  readonly pinned: { readonly word: Word; readonly value: Checksum } | undefined
  readonly context: CopyContext
}

function addedSource(source: CopySource, added: Added): CopyNodeSource {
  const { instruction, pinned, context } = added
  const text = source.kind === 'path' ? source.path.text : ''
  if (source.kind === 'path' && isGitReference(text)) return { kind: 'remote', node: context.addNode(gitNode(source.path, added)), isFile: false }
  if (instruction.keepGitDir !== undefined) refuse(context, instruction, { problem: '--keep-git-dir is for git sources', remedy: 'leave it out' })
  if (source.kind === 'path' && /^https?:\/\//u.test(text)) return { kind: 'remote', node: context.addNode(httpNode(source.path, added)), isFile: true }
  if (pinned !== undefined) refuse(context, pinned.word, { problem: '--checksum is for addresses of http, https and git', remedy: 'leave it out' })
  return localSource(source)
}

function httpNode(word: Word, { pinned, context }: Added): HttpNode {
  const url = URL.parse(word.text)
  if (url === null) refuse(context, word, { problem: `"${word.text}" is no address` })
  if (pinned?.value.kind === 'commit') refuse(context, pinned.word, { problem: '--checksum is a commit, and the source is a file', remedy: 'write sha256: and the digest of the file' })
  return { ...lowerHttp(word.text), digest: pinned?.value.kind === 'digest' ? { algorithm: pinned.value.algorithm, hex: pinned.value.hex } : undefined }
}

/** @throws {TypeError} for what is no address */
export function lowerHttp(url: string): HttpNode {
  return { kind: 'http', url, fileName: fileNameOf(new URL(url)), digest: undefined }
}

export function lowerGit(reference: GitReference): GitNode {
  const { remote, ref, subdirectory, commit, hasSubmodules, keepsGitDirectory = false } = reference
  return { kind: 'git', remote, ref, subdirectory, hasSubmodules, keepsGitDirectory, commit }
}

/** What makes a whole context a root filesystem. */
export function contextCopy(from: CopyOrigin, source: CopyNodeSource): CopyNode {
  return {
    kind: 'copy', base: undefined, from, sources: [source], destination: '/', chown: undefined, chmod: undefined, excludes: [], keepsParents: false, isLink: false,
    unpacks: { local: false, remote: true },
  }
}

/** The last component of the path, and Docker's stand-in where that is no file name. */
function fileNameOf({ pathname }: URL): string {
  const name = posix.basename(pathname)
  const decoded = /%(?![0-9a-f]{2})/iu.test(name) ? name : decode(name)
  return decoded === '' || decoded === '.' || decoded === '..' || /[/\0]/u.test(decoded) || Buffer.byteLength(decoded) > 255 ? '__unnamed__' : decoded
}

/** Bytes that are no UTF-8 stay as they are written. */
function decode(text: string): string {
  const bytes = Buffer.from(text.replace(/%([0-9a-f]{2})/giu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))), 'latin1')
  const decoded = bytes.toString('utf8')
  return Buffer.from(decoded).equals(bytes) ? decoded : text
}

function gitNode(word: Word, { instruction, pinned, context }: Added): GitNode {
  const reference = parseGitReference(word.text)
  if ('problem' in reference) refuse(context, word, { problem: `the git source is malformed: ${reference.problem}` })
  if (pinned?.value.kind === 'digest') refuse(context, pinned.word, { problem: '--checksum is the digest of a file, and the source is a git repository', remedy: 'write the whole id of the commit' })
  const node = lowerGit(reference)
  return { ...node, keepsGitDirectory: instruction.keepGitDir ?? node.keepsGitDirectory, commit: pinned?.value.hex ?? node.commit }
}

function localSource(source: CopySource): CopyNodeSource {
  return source.kind === 'path'
    ? { kind: 'path', pattern: source.path.text }
    : { kind: 'inline', name: source.heredoc.name, content: source.heredoc.content }
}

/** `.` and a trailing slash both say that the destination is a directory. */
function absoluteDestination(state: StageState, text: string): string {
  const absolute = posix.resolve(state.config.WorkingDir ?? '/', text)
  const isDirectory = text.endsWith('/') || text === '.' || text.endsWith('/.')
  return isDirectory && absolute !== '/' ? `${absolute}/` : absolute
}

function refuse({ source }: CopyContext, { range }: { readonly range: Place['range'] }, problem: { readonly problem: string; readonly remedy?: string }): never {
  throw new DockerfileError({ source, range }, { rule: 'flag', ...problem })
}
