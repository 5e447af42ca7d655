import { lstatSync } from 'node:fs'
import type { Task } from '../../core/task.ts'
import { TreeFailure } from '../tree/errors.ts'
import { measureTrees } from '../tree/upkeep-trees.ts'
import type { Size } from './space.ts'
import { addSizes, nothing } from './space.ts'

/** What files, and directories with all below them, occupy; what somebody just deletes counts as nothing. */
export async function measurePaths(root: string, paths: readonly string[], task: Task): Promise<Size> {
  const isDirectory = new Map(paths.map((path) => [path, lstatSync(path, { throwIfNoEntry: false })?.isDirectory()]))
  const trees = await measureThere(root, paths.filter((path) => isDirectory.get(path) === true), task)
  return addSizes([...trees, ...paths.filter((path) => isDirectory.get(path) === false).map(measureFile)])
}

/** What a file, or a directory without what is in it, occupies; nothing when it is gone. */
export function measureFile(path: string): Size {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats === undefined ? nothing : { inodes: 1, bytes: stats.blocks * 512 }
}

async function measureThere(root: string, paths: readonly string[], task: Task): Promise<Size[]> {
  try {
    return (await measureTrees(root, paths, task)).map(({ inodes, diskBytes }) => ({ inodes, bytes: diskBytes }))
  } catch (error) {
    if (!(error instanceof TreeFailure) || !vanishing.includes(error.errnoName)) throw error
    if (paths.length === 1) return []
    const sizes: Size[] = []
    for (const path of paths) sizes.push(...await measureThere(root, [path], task))
    return sizes
  }
}

const vanishing: readonly string[] = ['ENOENT', 'ESTALE']
