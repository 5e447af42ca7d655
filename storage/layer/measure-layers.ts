import { lstatSync } from 'node:fs'
import type { Task } from '../../core/task.ts'
import type { Layout } from '../root/layout.ts'
import type { TreeSize } from '../tree/upkeep-trees.ts'
import { measureTrees } from '../tree/upkeep-trees.ts'
import type { StoredLayer } from './stored-layer.ts'
import { layerPaths } from './stored-layer.ts'

/** What layers take on the disk, in their order, counted and not as recorded. They must be there. */
export async function measureLayers(layout: Layout, layers: readonly StoredLayer[], task: Task): Promise<TreeSize[]> {
  const directories = layers.filter(({ origin }) => origin !== 'indexed').flatMap((layer) => layerPaths(layout, layer))
  const trees = (await measureTrees(layout.root, directories, task)).values()
  return layers.map((layer) => {
    if (layer.dir === undefined) return { inodes: 0, diskBytes: 0 }
    if (layer.origin !== 'indexed') return trees.next().value ?? { inodes: 0, diskBytes: 0 }
    const files = layerPaths(layout, layer).map((path) => lstatSync(path))
    return { inodes: files.length, diskBytes: files.reduce((sum, { blocks }) => sum + blocks * 512, 0) }
  })
}
