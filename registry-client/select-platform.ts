import type { Descriptor } from '../oci/descriptor.ts'
import { isIndexType, isManifestType } from '../oci/descriptor.ts'
import type { ImageIndex } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import { formatPlatform, platformDistance } from '../oci/platform.ts'

/**
 * The entry of an index that suits a platform best, the first of equals; undefined when none does. Entries for
 * `unknown/unknown` hold attestations. An entry that says nothing of its platform counts only where it is the only one.
 */
export function selectPlatform(index: ImageIndex, wanted: Platform): Descriptor | undefined {
  const candidates = imageEntries(index)
  let best: { entry: Descriptor; distance: number } | undefined
  for (const entry of candidates) {
    const distance = entry.platform === undefined ? undefined : platformDistance(wanted, entry.platform)
    if (distance !== undefined && (best === undefined || distance < best.distance)) best = { entry, distance }
  }
  const [only, ...others] = candidates
  return best?.entry ?? (only?.platform === undefined && others.length === 0 ? only : undefined)
}

/** What an index offers, for the message that it does not have what was wanted. */
export function listPlatforms(index: ImageIndex): string[] {
  return [...new Set(imageEntries(index).map(({ platform }) => (platform === undefined ? 'unstated' : formatPlatform(platform))))]
}

function imageEntries({ manifests }: ImageIndex): Descriptor[] {
  return manifests.filter(({ mediaType, platform }) => (isManifestType(mediaType) || isIndexType(mediaType)) && platform?.os !== 'unknown')
}
