import { findNearest } from '../core/nearest.ts'
import type { Platform } from '../oci/platform.ts'
import { normalizePlatform, platformDistance } from '../oci/platform.ts'
import { formatFamiliar, formatReference, parseReference } from '../registry-client/index.ts'
import type { Store, StoredImage } from '../storage/index.ts'
import { ImageNotFound } from './errors.ts'
import { openImages } from './transfer/portable-image.ts'

/** What an image of the store is for instead of this platform; nothing when it is for it. */
export async function otherPlatforms(store: Store, image: StoredImage, platform: Platform): Promise<Platform[]> {
  const platforms = (await openImages(store, image)).map(({ config }) => normalizePlatform(config))
  return platforms.some((each) => platformDistance(platform, each) !== undefined) ? [] : platforms
}

const idLike = /^(?:sha256:)?[a-f0-9]{2,64}$/u

/** An image by name or by the beginning of its id. @throws {ImageNotFound} @throws {AmbiguousId} */
export function findImage(store: Store, nameOrId: string): StoredImage {
  const byId = idLike.test(nameOrId) ? store.images.find(nameOrId) : undefined
  const found = byId ?? store.images.find(canonicalName(nameOrId))
  if (found === undefined) throw new ImageNotFound(nameOrId, nearestName(store, nameOrId))
  return found
}

/** Compared by what people type: two names are not near each other for having the usual registry and tag in common. */
function nearestName(store: Store, name: string): string | undefined {
  const typed = (full: string): string => formatFamiliar(parseReference(full)).replace(/:latest$/u, '')
  const names = new Map(store.images.list().flatMap((image) => image.names).map((full) => [typed(full), full]))
  return names.get(findNearest(typed(name), names.keys()) ?? '')
}

/** `app` → `docker.io/library/app:latest`. @throws {MalformedReference} */
export function canonicalName(name: string): string {
  return formatReference(parseReference(name))
}
