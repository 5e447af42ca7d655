import { Readable } from 'node:stream'
import type { Header } from 'tar-stream'
import { extract } from 'tar-stream'
import type { Task } from '../../core/task.ts'
import type { Store, StoredImage } from '../../storage/index.ts'
import { imageSteps } from '../image-facts.ts'
import { openImage } from '../transfer/portable-image.ts'
import type { FileNode } from './file-tree.ts'
import { FileTree } from './file-tree.ts'
import type { WastedFile } from './waste.ts'
import { WasteFinder } from './waste.ts'

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
  /** Files that later layers replace or delete, the largest first. */
  readonly waste: { readonly bytes: number; readonly inodes: number; readonly largest: readonly WastedFile[] }
}

const nodesPerLayer = 400
const shownWaste = 100
const whiteout = '.wh.'
const opaque = '.wh..wh..opq'

/** What the layers of an image hold, read from their changesets. */
export async function describeLayers(store: Store, image: StoredImage, task: Task): Promise<DescribedLayers> {
  const steps = (await imageSteps(store, image)).filter(({ diffId }) => diffId !== undefined)
  const { chain } = await openImage(store, image)
  const finder = new WasteFinder()
  const layers: DescribedLayer[] = []
  for (const [index, chainId] of chain.entries()) {
    const tree = new FileTree()
    const step = steps[index]
    for await (const entry of extractHeaders(store.layers.changeset(chainId, task))) addEntry({ entry, index }, tree, finder)
    layers.push({ createdBy: step?.createdBy ?? '', diffId: step?.diffId ?? '', sizeBytes: step?.sizeBytes ?? 0, inodes: step?.inodes ?? 0, tree: tree.toNode('/', nodesPerLayer) })
  }
  return { layers, waste: finder.result(shownWaste) }
}

async function* extractHeaders(changeset: AsyncIterable<Uint8Array>): AsyncGenerator<Header> {
  const entries = extract()
  const source = Readable.from(changeset, { objectMode: false })
  source.on('error', (error) => { entries.destroy(error) }).pipe(entries)
  for await (const entry of entries) {
    yield entry.header
    entry.resume()
  }
}

function addEntry({ entry, index }: { readonly entry: Header; readonly index: number }, tree: FileTree, finder: WasteFinder): void {
  const path = entry.name.split('/').filter((part) => part !== '' && part !== '.')
  const name = path.at(-1)
  if (name === undefined) return
  if (name === opaque) return finder.hide(path.slice(0, -1), { layer: index, isOpaque: true })
  if (name.startsWith(whiteout)) return finder.hide([...path.slice(0, -1), name.slice(whiteout.length)], { layer: index, isOpaque: false })
  const bytes = entry.type === 'file' ? entry.size : 0
  const inodes = entry.type === 'link' ? 0 : 1
  tree.add(path, bytes, inodes)
  finder.add(path, { layer: index, bytes, inodes, isDirectory: entry.type === 'directory' })
}
