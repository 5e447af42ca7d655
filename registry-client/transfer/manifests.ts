import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { isIndexType, isManifestType, mediaTypes } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { createDigester, digestAlgorithm, isDigest } from '../../oci/digest.ts'
import { DigestMismatch } from '../../oci/errors.ts'
import { maxDocumentBytes } from '../../oci/json.ts'
import { parseManifestDocument } from '../../oci/manifest.ts'
import type { FetchedManifest } from '../client.ts'
import { AllPlacesFailed, InvalidAnswer, ManifestUnknown, WrongContent } from '../errors.ts'
import { readDocument } from '../http/document.ts'
import type { Reply } from '../http/endpoint.ts'
import { bytesBody } from '../http/message.ts'
import { repositoryScope } from '../http/scope.ts'
import { nameSender } from '../name-sender.ts'
import type { Reference } from '../reference.ts'
import { formatReference } from '../reference.ts'
import type { Connections } from './connections.ts'
import type { Place } from './places.ts'
import { pullPlaces, pushPlace, tryPlaces } from './places.ts'

const accept = [mediaTypes.ociIndex, mediaTypes.ociManifest, mediaTypes.dockerIndex, mediaTypes.dockerManifest].join(', ')
/** Content types that say no more than that there is content; the document itself must tell then. */
const vagueTypes: readonly string[] = ['', 'application/json', 'application/octet-stream', 'text/plain']

interface Question { readonly reference: Reference; readonly place: Place; readonly isLast: boolean }

/** A HEAD request, which registries do not count against their limits; a GET where its answer says too little. */
export async function resolveManifest(connections: Connections, reference: Reference, task: Task): Promise<Descriptor | undefined> {
  try {
    return await askPlaces({ connections, reference, task }, async (question) => {
      const reply = await ask(connections, { ...question, method: 'HEAD' }, task)
      await reply.discard()
      return parseHead(reply, reference) ?? (await readManifest(connections, question, task)).descriptor
    })
  } catch (error) {
    if (decisiveFailure(error, connections, reference) instanceof ManifestUnknown) return undefined
    throw error
  }
}

/** What mirrors lack or fail at does not count when the registry itself says that there is no such manifest. */
function decisiveFailure(error: unknown, { registries }: Connections, reference: Reference): unknown {
  if (!(error instanceof AllPlacesFailed)) return error
  const own = pullPlaces(reference, registries, 'manifest').at(-1)
  return error.failures.find(({ host }) => host === own?.host)?.error
}

export function fetchManifest(connections: Connections, reference: Reference, task: Task): Promise<FetchedManifest> {
  return askPlaces({ connections, reference, task }, (question) => readManifest(connections, question, task))
}

async function askPlaces<T>({ connections, reference, task }: { connections: Connections; reference: Reference; task: Task }, run: (question: Question) => Promise<T>): Promise<T> {
  const { memory, registries } = connections
  return tryPlaces({
    what: `pull manifest "${formatReference(reference)}"`,
    places: memory.order(pullPlaces(reference, registries, 'manifest'), reference.digest),
    memory,
    signal: task.signal,
    run: (place, isLast) => run({ reference, place, isLast }),
  })
}

async function ask(connections: Connections, { reference, place, isLast, method }: Question & { method: 'GET' | 'HEAD' }, task: Task): Promise<Reply> {
  const reply = await connections.endpoint(place).send({
    what: readingOf(reference),
    method,
    target: manifestPath(place, reference),
    scopes: [repositoryScope(place.repository, 'pull')],
    headers: { accept },
    expect: [200, 404],
    ...(isLast ? {} : { attempts: 2 }),
  }, task)
  connections.rateLimits.note(place.host, reply)
  if (reply.status === 200) return reply
  await reply.discard()
  throw new ManifestUnknown(formatReference(reference), place.host)
}

function manifestPath({ repository }: Place, { tag, digest }: Reference): string {
  return `/v2/${repository}/manifests/${digest ?? tag ?? 'latest'}`
}

function readingOf(reference: Reference): string {
  return `read manifest "${formatReference(reference)}"`
}

/** undefined when the headers leave something open. */
function parseHead(reply: Reply, reference: Reference): Descriptor | undefined {
  const digest = statedDigest(reply, reference)
  const mediaType = contentType(reply)
  const length = reply.header('content-length') ?? ''
  if (digest === undefined || !/^\d{1,15}$/u.test(length) || !(isIndexType(mediaType) || isManifestType(mediaType))) return undefined
  return { mediaType, digest: reference.digest ?? digest, size: Number(length) }
}

/** The digest the registry says the manifest has. @throws {InvalidAnswer} when that is none, or another than asked for */
function statedDigest(reply: Reply, reference: Reference): Digest | undefined {
  const stated = reply.header('docker-content-digest')
  if (stated === undefined) return undefined
  if (!isDigest(stated)) throw new InvalidAnswer(readingOf(reference), reply.host, 'states a digest that is not well-formed')
  const { digest } = reference
  if (digest !== undefined && digestAlgorithm(digest) === digestAlgorithm(stated) && stated !== digest) {
    throw new InvalidAnswer(readingOf(reference), reply.host, `states digest "${stated}" for what was asked for as "${digest}"`)
  }
  return stated
}

/** Without parameters, in lower case. */
function contentType(reply: Reply): string {
  return (reply.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

async function readManifest(connections: Connections, question: Question, task: Task): Promise<FetchedManifest> {
  const { reference, place } = question
  const reply = await ask(connections, { ...question, method: 'GET' }, task)
  const what = readingOf(reference)
  const bytes = await readDocument(reply, { what, host: reply.host, maxBytes: maxDocumentBytes, withinMs: connections.limits.documentMs })
  const stated = statedDigest(reply, reference)
  const digest = digestOf(bytes, reference.digest ?? stated)
  for (const expected of [reference.digest, stated]) {
    if (expected !== undefined) checkDigest(bytes, expected, place)
  }
  const type = expectedType(reply, what)
  const document = nameSender({ host: reply.host, name: formatReference(reference) }, () => parseManifestDocument(bytes, type))
  const { mediaType } = document.kind === 'index' ? document.index : document.manifest
  return { descriptor: { mediaType, digest, size: bytes.byteLength }, bytes, document }
}

function digestOf(bytes: Uint8Array, like: Digest | undefined): Digest {
  const digester = createDigester(like === undefined ? 'sha256' : digestAlgorithm(like))
  digester.update(bytes)
  return digester.finish()
}

function checkDigest(bytes: Uint8Array, expected: Digest, { host }: Place): void {
  const digest = digestOf(bytes, expected)
  if (digest === expected) return
  throw new WrongContent(host, new DigestMismatch({ digest: expected, size: bytes.byteLength }, { digest, sizeBytes: bytes.byteLength }), false)
}

function expectedType(reply: Reply, what: string): string | undefined {
  const type = contentType(reply)
  if (vagueTypes.includes(type)) return undefined
  if (type === 'text/html') throw new InvalidAnswer(what, reply.host, 'sent a web page; is there a registry at this address?')
  return type
}

export interface NewManifest { readonly reference: Reference; readonly bytes: Uint8Array; readonly mediaType: string }
export interface WrittenManifest {
  readonly descriptor: Descriptor
  /** Whether the registry itself lists the manifest with those that refer to its subject. */
  readonly isSubjectKnown: boolean
}

/**
 * The manifest is read before it is sent, so that no registry gets one that we would not take back.
 * @throws {MalformedDocument} @throws {UnsupportedMediaType} @throws {InvalidAnswer} when the registry kept something else
 */
export async function writeManifest(connections: Connections, { reference, bytes, mediaType }: NewManifest, task: Task): Promise<WrittenManifest> {
  parseManifestDocument(bytes, mediaType)
  const digest = digestOf(bytes, reference.digest)
  const size = bytes.byteLength
  const place = pushPlace(reference, connections.registries)
  if (reference.digest !== undefined && reference.digest !== digest) {
    throw new WrongContent(place.host, new DigestMismatch({ digest: reference.digest, size }, { digest, sizeBytes: size }), false)
  }
  const what = `push manifest "${formatReference(reference)}"`
  const reply = await connections.endpoint(place).send({
    what,
    method: 'PUT',
    target: `/v2/${place.repository}/manifests/${reference.tag ?? digest}`,
    scopes: [repositoryScope(place.repository, 'pull', 'push')],
    headers: { 'content-type': mediaType },
    body: bytesBody(bytes),
    expect: [201],
  }, task)
  await reply.discard()
  const stated = reply.header('docker-content-digest')
  if (stated !== undefined && (!isDigest(stated) || stated !== digestOf(bytes, stated))) {
    throw new InvalidAnswer(what, reply.host, `states digest ${JSON.stringify(stated.slice(0, 150))} for what was sent as "${digest}"`)
  }
  return { descriptor: { mediaType, digest, size }, isSubjectKnown: reply.header('oci-subject') !== undefined }
}
