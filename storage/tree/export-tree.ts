import type { Task } from '../../core/task.ts'
import { unpackTree } from './unpack-tree.ts'

/**
 * Writes a whole root filesystem, given as a changeset without deletions, into an empty directory outside the store.
 * On failure the directory is left partial. @throws {HostileArchive}
 */
export async function exportTree(directory: string, changeset: AsyncIterable<Uint8Array>, task: Task): Promise<void> {
  await unpackTree({ root: directory, directory, xattrs: 'trusted', makesWhiteouts: false, maxBytes: 2 ** 40, lowers: [] }, changeset, task)
}
