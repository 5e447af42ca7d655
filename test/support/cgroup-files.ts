import { findHierarchies } from '../../runtime/cgroup/hierarchies.ts'

/** Whether version 2 has every controller that limits are tested with. */
export const isUnified = findHierarchies().every(({ kind }) => kind === 'v2')

/** Where a container sees a setting of its own, by the names of version 1 (`memory/memory.limit_in_bytes`) and 2. */
export function cgroupFile(v1: string, v2: string): string {
  return `/sys/fs/cgroup/${isUnified ? v2 : v1}`
}
