import type { Task } from '../../core/task.ts'
import { WireReader, WireWriter } from '../../native/index.ts'
import { callTreeMode } from './tree-helper.ts'

export interface TreeSize {
  readonly inodes: number
  readonly diskBytes: number
}

/** What directories and all below them occupy, each inode once. */
export async function measureTrees(root: string, directories: readonly string[], task: Task): Promise<TreeSize[]> {
  if (directories.length === 0) return []
  const answer = await callTreeMode({ mode: 'measure', request: writePaths(directories), doing: 'measure', root }, task)
  return answer.done.map((payload) => {
    const reader = new WireReader(payload)
    return { inodes: Number(reader.u64()), diskBytes: Number(reader.u64()) }
  })
}

/** Deletes whatever the paths are, however deep, unreadable or immutable. What is gone already is no failure. */
export async function removeTrees(root: string, paths: readonly string[], task: Task): Promise<void> {
  if (paths.length > 0) await callTreeMode({ mode: 'remove', request: writePaths(paths), doing: 'remove', root }, task)
}

/** Makes directories survive power loss: each file on its own, or everything that the filesystem has not written yet. */
export async function syncTrees(root: string, directories: readonly string[], task: Task): Promise<void> {
  if (directories.length > 0) await callSync(root, directories.map((path) => ({ path, isWhole: false })), task)
}

export async function syncFilesystem(root: string, task: Task): Promise<void> {
  await callSync(root, [{ path: root, isWhole: true }], task)
}

async function callSync(root: string, trees: readonly { readonly path: string; readonly isWhole: boolean }[], task: Task): Promise<void> {
  const writer = new WireWriter()
  writer.list(trees, ({ path, isWhole }) => writer.flag(isWhole).bytes(path))
  await callTreeMode({ mode: 'sync', request: writer.finish(), doing: 'sync', root }, task)
}

function writePaths(paths: readonly string[]): Uint8Array {
  const writer = new WireWriter()
  return writer.list(paths, (path) => writer.bytes(path)).finish()
}
