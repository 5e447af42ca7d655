import { asOciLayer, layerMediaType, mediaTypes } from '../../oci/descriptor.ts'
import type { Annotations, Descriptor } from '../../oci/descriptor.ts'
import type { DiffId } from '../../oci/digest.ts'
import { chainIds, diffIdAsDigest } from '../../oci/digest.ts'
import type { HistoryEntry, ImageConfig } from '../../oci/image-config.ts'
import { encodeImageConfig } from '../../oci/image-config.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { encodeDocument } from '../../oci/manifest.ts'
import type { Store, StoredImage } from '../../storage/index.ts'
import type { NodeResult } from '../execute/executor.ts'
import type { OpenedImage } from '../transfer/portable-image.ts'
import type { NodeId, PlannedHistory, PlannedImage } from '../plan/plan.ts'

export interface BuiltImage {
  readonly planned: PlannedImage
  readonly rootfs: NodeResult
  /** Of every step. */
  readonly results: ReadonlyMap<NodeId, NodeResult>
  /** RFC 3339: stands for the time of every step, and of the image. */
  readonly created: string | undefined
}

/** Writes the config and manifest of a built image, whose layers are in the store. */
export async function assembleImage(store: Store, image: BuiltImage, { annotations, inlineCache }: { readonly annotations: Annotations; readonly inlineCache: string | undefined }): Promise<OpenedImage> {
  const imageConfigDocument = { ...imageConfig(image), ...(inlineCache === undefined ? {} : { 'moby.buildkit.cache.v0': inlineCache }) }
  const configBytes = encodeImageConfig(imageConfigDocument)
  const config = await store.content.write(configBytes, mediaTypes.ociConfig)
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config,
    layers: layerDescriptors(store, image),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  }
  const manifestBytes = encodeDocument(manifest)
  const descriptor = await store.content.write(manifestBytes, mediaTypes.ociManifest)
  const stored: StoredImage = { id: config.digest, manifest: descriptor, names: [], createdAtMs: Date.now() }
  return { stored, manifest, manifestBytes, config: imageConfigDocument, configBytes, chain: chainIds(image.rootfs.diffIds) }
}

/**
 * Fields in the order the specification lists them. No time of this build gets in: an instruction that makes no layer
 * has the time of the layer before it, so the same steps from the cache give the same image id.
 */
export function imageConfig({ planned, rootfs, results, created }: BuiltImage): ImageConfig {
  const dated = datedHistory(planned, results)
  const history = [...planned.base?.history ?? [], ...created === undefined ? dated : dated.map((entry) => ({ ...entry, created }))]
  const newest = created ?? history.reduce<string | undefined>((latest, entry) => latest === undefined || (entry.created ?? '') > latest ? entry.created ?? latest : latest, undefined)
  return {
    ...(newest === undefined ? {} : { created: newest }),
    ...(planned.author === undefined ? {} : { author: planned.author }),
    ...planned.platform,
    config: planned.config,
    rootfs: { type: 'layers', diff_ids: rootfs.diffIds },
    history,
  }
}

function datedHistory(planned: PlannedImage, results: ReadonlyMap<NodeId, NodeResult>): HistoryEntry[] {
  let last = planned.base?.created ?? planned.base?.history.at(-1)?.created
  return planned.history.map((entry) => {
    const own = entry.node === undefined ? undefined : results.get(entry.node)?.created
    last = own ?? last
    return historyEntry(entry, last)
  })
}

function historyEntry({ createdBy, comment, node }: PlannedHistory, created: string | undefined): HistoryEntry {
  return {
    ...(created === undefined ? {} : { created }),
    created_by: createdBy,
    ...(comment === undefined ? {} : { comment }),
    ...(node === undefined ? { empty_layer: true } : {}),
  }
}

/** The base's layers as its registry sent them, under OCI's media types: there are readers that take no others here; ours as the plain tars they are: pushing compresses what it has to. */
function layerDescriptors(store: Store, { planned, rootfs }: BuiltImage): Descriptor[] {
  const known = new Map<DiffId, Descriptor>(planned.base?.layers.map(asOciLayer).map((layer, index) => [planned.base?.diffIds[index], layer]).filter((pair): pair is [DiffId, Descriptor] => pair[0] !== undefined))
  const chain = chainIds(rootfs.diffIds)
  return rootfs.diffIds.map((diffId, index) => known.get(diffId) ?? plainDescriptor(store, diffId, chain[index]))
}

function plainDescriptor(store: Store, diffId: DiffId, chainId: ReturnType<typeof chainIds>[number] | undefined): Descriptor {
  const layer = chainId === undefined ? undefined : store.layers.find(chainId)
  if (layer === undefined) throw new TypeError(`layer ${diffId} of the image just built is not in the store`)
  return { mediaType: layerMediaType('none'), digest: diffIdAsDigest(diffId), size: layer.tarBytes }
}
