import type { Task } from '../../core/task.ts'
import type { RootfsView } from '../../storage/index.ts'
import { joinPath } from '../copy/select.ts'

/** What COPY may see of a build context. */
export interface ContextReport {
  readonly files: number
  readonly directories: number
  readonly others: number
  readonly sizeBytes: number
  /** Files and directories with all they hold, the largest first. */
  readonly largest: readonly { readonly path: string; readonly sizeBytes: number }[]
}

const mostPaths = 20

export async function reportContext(view: RootfsView, task: Task): Promise<ContextReport> {
  const counts = { files: 0, directories: 0, others: 0 }
  const sizes: { path: string; sizeBytes: number }[] = []
  const visit = async (folder: Buffer): Promise<number> => {
    let total = 0
    for (const name of await view.list(folder)) {
      task.signal.throwIfAborted()
      const path = joinPath(folder, name)
      const entry = await view.lstat(path)
      if (entry === undefined) continue
      const sizeBytes = entry.type === 'directory' ? await visit(path) : entry.sizeBytes
      counts[entry.type === 'directory' ? 'directories' : entry.type === 'file' ? 'files' : 'others'] += 1
      sizes.push({ path: path.subarray(1).toString() + (entry.type === 'directory' ? '/' : ''), sizeBytes })
      total += sizeBytes
    }
    return total
  }
  const sizeBytes = await visit(Buffer.from('/'))
  sizes.sort((one, other) => other.sizeBytes - one.sizeBytes || (one.path < other.path ? -1 : 1))
  return { ...counts, sizeBytes, largest: sizes.slice(0, mostPaths) }
}
