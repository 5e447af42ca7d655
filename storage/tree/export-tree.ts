import type { Task } from '../../core/task.ts'
import { packTree } from './pack-tree.ts'
import { unpackTree } from './unpack-tree.ts'

/**
 * Writes a whole root filesystem, given as a changeset without deletions, into an empty directory outside the store.
 * On failure the directory is left partial. @throws {HostileArchive}
 */
export async function exportTree(directory: string, changeset: AsyncIterable<Uint8Array>, task: Task): Promise<void> {
  await unpackTree({ root: directory, directory, xattrs: 'trusted', makesWhiteouts: false, maxBytes: 2 ** 40, maxSeconds: 3600, lowers: [] }, changeset, task)
}

/** A folder of the host, its owner and mode included, as `exportTree` takes it. @throws {Unrepresentable} */
export function packFolder(directory: string, task: Task): AsyncIterable<Uint8Array> {
  return packTree({ root: directory, directory, xattrs: 'trusted', hasRoot: true, opaqueMarks: 'all', lowers: [] }, task)
}
