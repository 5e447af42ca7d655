import type { Task } from '../../core/task.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { BlobUnknown, DeletionRefused, ManifestUnknown, UnexpectedStatus } from '../errors.ts'
import type { Reply } from '../http/endpoint.ts'
import { repositoryScope } from '../http/scope.ts'
import type { Reference } from '../reference.ts'
import { formatReference, repositoryName } from '../reference.ts'
import type { Connections } from '../transfer/connections.ts'
import { fetchManifest } from '../transfer/manifests.ts'
import type { Place } from '../transfer/places.ts'
import { pushPlace } from '../transfer/places.ts'
import { changeReferrers, describeReferrer } from './referrers.ts'

/**
 * Deletes a tag, or with a digest the manifest and with it all its tags. What it referred to loses it from its list.
 * @throws {ManifestUnknown} @throws {DeletionRefused}
 * @see distribution-spec "Content Management"
 */
export async function deleteManifest(connections: Connections, reference: Reference, task: Task): Promise<void> {
  const place = pushPlace(reference, connections.registries)
  const referral = reference.digest === undefined ? undefined : await findReferral(connections, reference, task)
  const reply = await remove(connections, { place, what: `delete "${formatReference(reference)}"`, path: `manifests/${reference.digest ?? reference.tag ?? 'latest'}` }, task)
  if (reply.status === 404) throw new ManifestUnknown(formatReference(reference), place.host)
  // Registries with the API keep the list, and have no such tag.
  if (referral !== undefined) await changeReferrers(connections, { ...referral, kind: 'remove' }, task)
}

async function findReferral(connections: Connections, reference: Reference, task: Task): Promise<{ subject: Reference & { digest: Digest }; referrer: Descriptor } | undefined> {
  const { descriptor, bytes } = await fetchManifest(connections, reference, task)
  const found = describeReferrer(descriptor, bytes)
  return found === undefined ? undefined : { subject: { ...reference, tag: undefined, digest: found.subject.digest }, referrer: found.referrer }
}

/** @throws {BlobUnknown} @throws {DeletionRefused} */
export async function deleteBlob(connections: Connections, { repository, digest }: { repository: Reference; digest: Digest }, task: Task): Promise<void> {
  const place = pushPlace(repository, connections.registries)
  const reply = await remove(connections, { place, what: `delete blob "${digest}" of "${repositoryName(repository)}"`, path: `blobs/${digest}` }, task)
  if (reply.status === 404) throw new BlobUnknown(digest, place.host)
}

/** A registry that deletes by digest alone says that a tag is none. */
const refusals: readonly string[] = ['UNSUPPORTED', 'DIGEST_INVALID']

async function remove(connections: Connections, { place, what, path }: { place: Place; what: string; path: string }, task: Task): Promise<Reply> {
  try {
    const reply = await connections.endpoint(place).send({
      what, method: 'DELETE', target: `/v2/${place.repository}/${path}`, scopes: [repositoryScope(place.repository, 'delete', 'pull')], expect: [200, 202, 204, 404],
    }, task)
    await reply.discard()
    return reply
  } catch (error) {
    if (error instanceof UnexpectedStatus && (error.status === 405 || error.registryCodes.some((code) => refusals.includes(code)))) throw new DeletionRefused(what, place.host, error)
    throw error
  }
}
