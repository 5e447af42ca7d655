import type { Digest } from '../oci/digest.ts'
import { isDigest } from '../oci/digest.ts'
import { MalformedReference } from './errors.ts'

/** A parsed image name. `registry` is a host with optional port; Docker Hub is `docker.io`. @see distribution reference grammar */
export interface Reference {
  readonly registry: string
  readonly repository: string
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

export interface ReferenceOptions {
  /** What a name without tag and digest gets; undefined leaves it without. `latest` unless given. */
  readonly defaultTag: string | undefined
}

export const dockerHub = 'docker.io'
const officialFolder = 'library/'
const maxRepositoryLength = 255
/** Longer than any valid name: host, repository, tag and digest at their maximum. */
const maxTextLength = 1024

const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const domain = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`
const pathComponent = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const wellFormedDomain = new RegExp(`^${domain}$`, 'u')
const wellFormedPath = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`, 'u')
const wellFormedTag = /^\w[\w.-]{0,127}$/u
/** Docker keeps a bare identifier for image ids. */
const identifier = /^[a-f0-9]{64}$/u

/**
 * Reads an image name as Docker does: without a registry it is Docker Hub's, there without a folder in `library/`.
 * Short names of registries.conf are `resolveName`'s.
 * @throws {MalformedReference}
 */
export function parseReference(text: string, options: ReferenceOptions = { defaultTag: 'latest' }): Reference {
  if (text.length > maxTextLength) throw new MalformedReference(text, `it has ${text.length} characters`)
  if (identifier.test(text)) throw new MalformedReference(text, 'it is an image id, not a name')
  const { name, tag, digest } = splitName(text)
  const { registry, repository } = splitRegistry(name)
  if (registry !== undefined) checkRegistry(registry, text)
  checkRepository(repository, text)
  const completed = (registry ?? dockerHub) === dockerHub && !repository.includes('/') ? officialFolder + repository : repository
  return {
    registry: registry ?? dockerHub,
    repository: completed,
    tag: tag ?? (digest === undefined ? options.defaultTag : undefined),
    digest,
  }
}

/** Whether the text names a registry, so that no configuration decides where it leads. */
export function isQualified(text: string): boolean {
  return splitRegistry(splitName(text).name).registry !== undefined
}

/** Whether the text can be the repository of a reference. */
export function isRepository(text: string): boolean {
  return text.length <= maxRepositoryLength && wellFormedPath.test(text)
}

/** The canonical name, `docker.io/library/app:latest`: equal for equal references, and read back by `parseReference`. */
export function formatReference(reference: Reference): string {
  const { tag, digest } = reference
  return `${repositoryName(reference)}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** The name as a user would type it, `app:latest` for `docker.io/library/app:latest`, unless that would be read as another. */
export function formatFamiliar(reference: Reference): string {
  const name = formatReference(reference)
  if (reference.registry !== dockerHub) return name
  const withoutRegistry = name.slice(dockerHub.length + 1)
  const short = isOfficial(reference.repository) ? withoutRegistry.slice(officialFolder.length) : withoutRegistry
  return isQualified(short) || identifier.test(short) ? name : short
}

/** Registry and repository, without tag and digest. */
export function repositoryName({ registry, repository }: Reference): string {
  return `${registry}/${repository}`
}

/** Only names directly in `library/` may leave it out. */
function isOfficial(repository: string): boolean {
  return repository.startsWith(officialFolder) && !repository.slice(officialFolder.length).includes('/')
}

function splitName(text: string): { name: string; tag: string | undefined; digest: Digest | undefined } {
  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : text.slice(at + 1)
  if (digest !== undefined && !isDigest(digest)) throw new MalformedReference(text, 'behind "@" there is no sha256 or sha512 digest')
  const tagged = at === -1 ? text : text.slice(0, at)
  const colon = tagged.lastIndexOf(':')
  if (colon === -1 || colon < tagged.lastIndexOf('/')) return { name: tagged, tag: undefined, digest }
  const tag = tagged.slice(colon + 1)
  if (!wellFormedTag.test(tag)) throw new MalformedReference(text, 'behind ":" there is no tag of letters, digits, "_", "." and "-", at most 128')
  return { name: tagged.slice(0, colon), tag, digest }
}

/** The first part is a registry when it could not be a folder: it has a dot, a colon or a capital, or is localhost. */
function splitRegistry(name: string): { registry: string | undefined; repository: string } {
  const slash = name.indexOf('/')
  const first = slash === -1 ? '' : name.slice(0, slash)
  if (first !== 'localhost' && !/[.:A-Z]/u.test(first)) return { registry: undefined, repository: name }
  return { registry: first === 'index.docker.io' ? dockerHub : first, repository: name.slice(slash + 1) }
}

function checkRegistry(registry: string, text: string): void {
  if (!wellFormedDomain.test(registry)) throw new MalformedReference(text, 'its registry is not of the form host[:port]')
  if (!URL.canParse(`https://${registry}`)) throw new MalformedReference(text, 'its registry is no address that can be contacted')
}

function checkRepository(repository: string, text: string): void {
  if (repository === '') throw new MalformedReference(text, 'it names no repository')
  if (repository.length > maxRepositoryLength) throw new MalformedReference(text, `its repository has ${repository.length} characters, more than ${maxRepositoryLength}`)
  if (wellFormedPath.test(repository)) return
  throw new MalformedReference(text, wellFormedPath.test(repository.toLowerCase())
    ? 'its repository has capital letters'
    : 'its repository is not made of lower-case letters and digits, joined by ".", "_", "__", "-" or "/"')
}
