import type { RunConfig } from '../oci/image-config.ts'
import { formatPlatform } from '../oci/platform.ts'
import { formatFamiliar, parseReference } from '../registry-client/index.ts'
import type { Store, StoredImage } from '../storage/index.ts'
import { measureImage } from './image-facts.ts'
import { openImage, openImages } from './transfer/portable-image.ts'

/** What `docker inspect` shows of an image, as far as we have it, in its words; of an index this machine's image, and which others there are. */
export async function inspectImage(store: Store, stored: StoredImage): Promise<Readonly<Record<string, unknown>> & { readonly Config: RunConfig }> {
  const { config, manifest, chain } = await openImage(store, stored)
  const members = await openImages(store, stored)
  const { sizeBytes, inodes } = await measureImage(store, stored)
  const { rootfs, history: _, config: runConfig, created, author, architecture, os, variant } = config
  return {
    Id: stored.id,
    RepoTags: stored.names.map((name) => formatFamiliar(parseReference(name))),
    Created: created,
    Author: author ?? '',
    Architecture: architecture,
    ...(variant === undefined ? {} : { Variant: variant }),
    Os: os,
    ...(members.length > 1 ? { Platforms: members.map((member) => ({ Platform: formatPlatform(member.config), Digest: member.stored.manifest.digest })) } : {}),
    Size: sizeBytes,
    Inodes: inodes,
    Config: runConfig ?? {},
    GraphDriver: { Name: 'overlay', Data: overlayData(store, chain.at(-1)) },
    RootFS: { Type: 'layers', Layers: rootfs.diff_ids },
    Descriptor: stored.manifest,
    Manifest: manifest,
  }
}

/** The directories a container of the image would mount; UpperDir is the image's top layer, as Docker has it. */
function overlayData(store: Store, top: Parameters<Store['layers']['lowers']>[0]): Readonly<Record<string, string>> {
  const [upper, ...lowers] = store.layers.lowers(top).map(({ path }) => path)
  if (upper === undefined) return {}
  return { ...(lowers.length === 0 ? {} : { LowerDir: lowers.join(':') }), UpperDir: upper }
}
