import type { Task } from '../../core/task.ts'
import { silent } from '../../core/task.ts'
import type { JsonObject } from '../../oci/json.ts'
import { isObject } from '../../oci/json.ts'
import type { Platform } from '../../oci/platform.ts'
import type { Store } from '../../storage/index.ts'
import type { BuildEvent } from '../events.ts'
import type { SecretGuard } from '../guard/secret-guard.ts'
import type { OpenedImage } from '../transfer/portable-image.ts'
import type { AttestationRequest, ProvenanceRequest } from './attestation-request.ts'
import { findPackages } from './packages/find-packages.ts'
import type { ProvenanceParts } from './provenance.ts'
import { provenance } from './provenance.ts'
import { spdxDocument } from './spdx.ts'
import type { Predicate } from './statement.ts'

export interface DescribedImage {
  readonly platform: Platform
  /** @see slsa.dev/provenance/v1 */
  readonly predicate: JsonObject
}

export interface PredicateParts {
  readonly request: AttestationRequest
  readonly image: OpenedImage
  readonly name: string
  readonly guard: SecretGuard
  /** RFC 3339, to the second: the time of the documents; undefined is now. */
  readonly created: string | undefined
  readonly history: () => Promise<Omit<ProvenanceParts, 'request'>>
}

/** What is asked to be said of an image whose layers are in the store, secrets masked. Packages that could not be read are warned of. */
export async function makePredicates(store: Store, parts: PredicateParts, task: Task<BuildEvent>): Promise<Predicate[]> {
  const { request, guard } = parts
  const predicates: Predicate[] = []
  if (request.sbom) predicates.push({ type: 'https://spdx.dev/Document', content: masked(await describePackages(store, parts, task), guard) })
  if (request.provenance !== undefined) predicates.push({ type: 'https://slsa.dev/provenance/v1', content: await makeProvenance(request.provenance, parts) })
  return predicates
}

/** How an image was made, secrets masked. */
export async function makeProvenance(request: ProvenanceRequest, { history, guard }: Pick<PredicateParts, 'history' | 'guard'>): Promise<JsonObject> {
  return masked(provenance({ ...await history(), request }), guard)
}

async function describePackages(store: Store, { image, name, created }: PredicateParts, task: Task<BuildEvent>): Promise<JsonObject> {
  const found = await findPackages(store.layers.view(image.chain.at(-1)), silent(task))
  for (const problem of found.problems) task.emit({ type: 'warning-raised', rule: 'SbomIncomplete', message: `the SBOM lacks what could not be read: ${problem}`, range: undefined })
  return spdxDocument(found, { name, id: image.stored.id, created: created ?? `${new Date().toISOString().slice(0, 19)}Z` })
}

/** Texts are masked one by one: in JSON a secret may be spelled otherwise. */
function masked(document: JsonObject, guard: SecretGuard): JsonObject {
  const mask = (value: unknown): unknown => {
    if (typeof value === 'string') return guard.mask(value)
    if (Array.isArray(value)) return value.map(mask)
    return isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, mask(inner)])) : value
  }
  const result = mask(document)
  if (!isObject(result)) throw new TypeError('a document is an object')
  return result
}
