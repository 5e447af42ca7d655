import type { Task } from '../../core/task.ts'
import type { Annotations, Descriptor } from '../../oci/descriptor.ts'
import { mediaTypes } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { digestAlgorithm, digestHex } from '../../oci/digest.ts'
import { MalformedDocument } from '../../oci/errors.ts'
import type { Json } from '../../oci/json.ts'
import type { ImageIndex } from '../../oci/manifest.ts'
import { encodeDocument, parseDescriptor, parseManifestDocument } from '../../oci/manifest.ts'
import { InvalidAnswer, ManifestUnknown } from '../errors.ts'
import { repositoryScope } from '../http/scope.ts'
import type { Reference } from '../reference.ts'
import { formatReference } from '../reference.ts'
import type { Connections } from '../transfer/connections.ts'
import { fetchManifest, writeManifest } from '../transfer/manifests.ts'
import type { Place } from '../transfer/places.ts'
import { ownPlace } from '../transfer/places.ts'
import { readPages } from './pages.ts'

export interface ReferrersQuery {
  /** Its digest is set. */
  readonly subject: Reference & { readonly digest: Digest }
  /** Only artifacts of this type. */
  readonly artifactType: string | undefined
}

/** More signatures and bills of materials than anything has; a longer list is an attack. */
const maxReferrers = 10_000

/**
 * What refers to a manifest: signatures, bills of materials, attestations. Registries without the API keep the list under
 * a tag made of the digest, which whoever pushes has to keep.
 * @see distribution-spec "Listing Referrers", "Referrers Tag Schema"
 */
export async function listReferrers(connections: Connections, { subject, artifactType }: ReferrersQuery, task: Task): Promise<Descriptor[]> {
  const place = ownPlace(subject, connections.registries)
  const found = await askApi(connections, { place, subject, artifactType }, task) ?? await readTag(connections, subject, task)
  return artifactType === undefined ? found : found.filter((descriptor) => descriptor.artifactType === artifactType)
}

/** undefined when the registry does not have the API. */
async function askApi(connections: Connections, { place, subject, artifactType }: ReferrersQuery & { place: Place }, task: Task): Promise<Descriptor[] | undefined> {
  const what = `list referrers of "${formatReference(subject)}"`
  const list = {
    what,
    path: `/v2/${place.repository}/referrers/${subject.digest}`,
    query: artifactType === undefined ? {} : { artifactType },
    scopes: [repositoryScope(place.repository, 'pull')],
    expect: [400, 404, 405],
  }
  const found: Descriptor[] = []
  for await (const { document } of readPages(connections, { place, list }, task)) {
    if (document === undefined) return undefined
    // Some registries answer any unknown path with a JSON of their own.
    if (document['mediaType'] !== undefined && document['mediaType'] !== mediaTypes.ociIndex) throw new InvalidAnswer(what, place.host, 'sent something that is no index')
    const { manifests } = document
    if (!Array.isArray(manifests)) throw new InvalidAnswer(what, place.host, 'sent an index without manifests')
    found.push(...manifests.map((entry: Json, index) => describe(() => parseDescriptor(entry, `manifests[${index}]`), what, place)))
    if (found.length > maxReferrers) throw new InvalidAnswer(what, place.host, `sent more than ${maxReferrers} referrers`)
  }
  return found
}

function describe(parse: () => Descriptor, what: string, { host }: Place): Descriptor {
  try {
    return parse()
  } catch (error) {
    if (error instanceof MalformedDocument) throw new InvalidAnswer(what, host, `sent a list that cannot be used: ${error.message}`)
    throw error
  }
}

/** The tag under which the list lies where there is no API. */
export function referrersTag(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`
}

function tagOf(subject: Reference & { readonly digest: Digest }): Reference {
  return { ...subject, tag: referrersTag(subject.digest), digest: undefined }
}

async function readTag(connections: Connections, subject: Reference & { readonly digest: Digest }, task: Task): Promise<Descriptor[]> {
  try {
    const { document } = await fetchManifest(connections, tagOf(subject), task)
    return document.kind === 'index' ? [...document.index.manifests] : []
  } catch (error) {
    if (error instanceof ManifestUnknown) return []
    throw error
  }
}

/** Puts a manifest on its subject's list, or takes it off, where the registry does not keep the list itself. */
export async function changeReferrers(connections: Connections, change: { readonly subject: Reference & { readonly digest: Digest }; readonly referrer: Descriptor; readonly kind: 'add' | 'remove' }, task: Task): Promise<void> {
  const { subject, referrer, kind } = change
  const known = await readTag(connections, subject, task)
  const isListed = known.some(({ digest }) => digest === referrer.digest)
  if (isListed === (kind === 'add')) return
  const others = known.filter(({ digest }) => digest !== referrer.digest)
  const index: ImageIndex = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: kind === 'add' ? [...others, referrer] : others }
  await writeManifest(connections, { reference: tagOf(subject), bytes: encodeDocument(index), mediaType: mediaTypes.ociIndex }, task)
}

/** How a list shows a manifest that has a subject: with its artifact type and its annotations. */
export function describeReferrer(manifest: Descriptor, bytes: Uint8Array): { readonly subject: Descriptor; readonly referrer: Descriptor } | undefined {
  const document = parseManifestDocument(bytes, manifest.mediaType)
  const { subject, artifactType, annotations } = document.kind === 'index' ? document.index : document.manifest
  if (subject === undefined) return undefined
  const type = artifactType ?? (document.kind === 'manifest' ? document.manifest.config.mediaType : undefined)
  return { subject, referrer: { ...manifest, ...typed(type), ...annotated(annotations) } }
}

function typed(artifactType: string | undefined): { artifactType?: string } {
  return artifactType === undefined ? {} : { artifactType }
}

function annotated(annotations: Annotations | undefined): { annotations?: Annotations } {
  return annotations === undefined ? {} : { annotations }
}
