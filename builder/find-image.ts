import { findNearest } from '../core/nearest.ts'
import { formatFamiliar, formatReference, parseReference } from '../registry-client/index.ts'
import type { Store, StoredImage } from '../storage/index.ts'
import { ImageNotFound } from './errors.ts'

const idLike = /^(?:sha256:)?[a-f0-9]{2,64}$/u

/** An image by name or by the beginning of its id. @throws {ImageNotFound} @throws {AmbiguousId} */
export function findImage(store: Store, nameOrId: string): StoredImage {
  const byId = idLike.test(nameOrId) ? store.images.find(nameOrId) : undefined
  const found = byId ?? store.images.find(canonicalName(nameOrId))
  if (found === undefined) throw new ImageNotFound(nameOrId, nearestName(store, nameOrId))
  return found
}

/** `app` → `docker.io/library/app:latest`. @throws {MalformedReference} */
export function canonicalName(name: string): string {
  return formatReference(parseReference(name))
}

/** Compared as users write names: registry and folder, which nearly all share, would make any two names near. */
function nearestName(store: Store, name: string): string | undefined {
  const known = store.images.list().flatMap(({ names }) => names.map((full) => formatFamiliar(parseReference(full))))
  return findNearest(formatFamiliar(parseReference(name)), known)
}
