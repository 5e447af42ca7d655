import type { ChainId } from '../oci/digest.ts'
import type { Layer, Store, StoredImage } from '../storage/index.ts'
import { openImage, openImages } from './transfer/portable-image.ts'

/** What an image's layers take together; of an index those of all its images, each once. */
export interface ImageSize {
  readonly sizeBytes: number
  readonly inodes: number
}

/** Also when it was made and its labels, as its config says; of an index its first image. */
export async function measureImage(store: Store, image: StoredImage): Promise<ImageSize & { readonly createdMs: number | undefined; readonly labels: Readonly<Record<string, string>> }> {
  const images = await openImages(store, image)
  const layers = findLayers(store, [...new Set(images.flatMap(({ chain }) => chain))])
  const createdMs = Date.parse(images[0]?.config.created ?? '')
  return { labels: images[0]?.config.config?.Labels ?? {}, createdMs: Number.isNaN(createdMs) ? undefined : createdMs, sizeBytes: sum(layers.map(({ diskBytes }) => diskBytes)), inodes: sum(layers.map(({ inodes }) => inodes)) }
}

/** One line of an image's history. */
export interface ImageStep extends ImageSize {
  readonly created: string | undefined
  readonly createdBy: string
  readonly comment: string
  /** undefined for a step that only changed the config. */
  readonly diffId: string | undefined
}

/** The image's history, oldest first, each step that made a layer with what it takes. */
export async function imageSteps(store: Store, image: StoredImage): Promise<ImageStep[]> {
  const { config, chain } = await openImage(store, image)
  const pending = findLayers(store, chain)
  const steps = (config.history ?? []).map((entry): ImageStep => {
    const layer = entry.empty_layer === true ? undefined : pending.shift()
    return { created: entry.created, createdBy: entry.created_by ?? '', comment: entry.comment ?? '', ...layerFacts(layer) }
  })
  return [...steps, ...pending.map((layer): ImageStep => ({ created: undefined, createdBy: '<missing>', comment: '', ...layerFacts(layer) }))]
}

/** undefined for an image without layers. */
export async function topLayer(store: Store, image: StoredImage): Promise<ChainId | undefined> {
  return (await openImage(store, image)).chain.at(-1)
}

function findLayers(store: Store, chain: readonly ChainId[]): Layer[] {
  return chain.map((chainId) => store.layers.find(chainId)).filter((layer) => layer !== undefined)
}

function layerFacts(layer: Layer | undefined): Pick<ImageStep, 'diffId' | 'sizeBytes' | 'inodes'> {
  return { diffId: layer?.diffId, sizeBytes: layer?.diskBytes ?? 0, inodes: layer?.inodes ?? 0 }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
