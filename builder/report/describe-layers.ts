import type { Task } from '../../core/task.ts'
import type { Store, StoredImage } from '../../storage/index.ts'
import type { ExaminedLayer } from '../forensics/examine.ts'
import { measureWaste } from '../forensics/examine.ts'
import type { LayerEntry } from '../forensics/layer-entry.ts'
import { readStoredEntries } from '../forensics/layer-entry.ts'
import type { Waste } from '../forensics/merged-tree.ts'
import { MergedTree } from '../forensics/merged-tree.ts'
import { imageSteps } from '../image-facts.ts'
import { openImage } from '../transfer/portable-image.ts'
import type { FileNode } from './file-tree.ts'
import { FileTree } from './file-tree.ts'

export interface DescribedLayer {
  readonly createdBy: string
  readonly diffId: string
  /** On this disk. */
  readonly sizeBytes: number
  readonly inodes: number
  readonly tree: FileNode
}

export interface DescribedLayers {
  /** Oldest first. */
  readonly layers: readonly DescribedLayer[]
  /** What later layers take out of sight, as `layer waste` counts it; of its items those with bytes, the largest first. */
  readonly waste: { readonly bytes: number; readonly inodes: number; readonly largest: readonly Waste[] }
}

const nodesPerLayer = 400
const shownWaste = 100

/** What the layers of an image hold, read from their changesets. */
export async function describeLayers(store: Store, image: StoredImage, task: Task): Promise<DescribedLayers> {
  const steps = (await imageSteps(store, image)).filter(({ diffId }) => diffId !== undefined)
  const { chain } = await openImage(store, image)
  const merged = new MergedTree()
  const examined: ExaminedLayer[] = []
  const layers: DescribedLayer[] = []
  for (const [index, chainId] of chain.entries()) {
    const step = steps[index]
    const [createdBy, diffId] = [step?.createdBy ?? '', step?.diffId ?? '']
    const entries = await readStoredEntries(store, chainId, task)
    merged.apply(entries, index)
    examined.push({ diffId, step: createdBy, entries })
    layers.push({ createdBy, diffId, sizeBytes: step?.sizeBytes ?? 0, inodes: step?.inodes ?? 0, tree: growTree(entries).toNode('/', nodesPerLayer) })
  }
  const { items, bytes, inodes } = measureWaste({ layers: examined, tree: merged })
  return { layers, waste: { bytes, inodes, largest: items.filter((item) => item.bytes > 0).slice(0, shownWaste) } }
}

function growTree(entries: readonly LayerEntry[]): FileTree {
  const tree = new FileTree()
  for (const { type, path, sizeBytes } of entries) {
    if (type === 'whiteout' || type === 'opaque' || path === '/') continue
    tree.add(path.slice(1).split('/'), sizeBytes, type === 'hard-link' ? 0 : 1)
  }
  return tree
}
