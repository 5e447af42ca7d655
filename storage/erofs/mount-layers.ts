import type { Task } from '../../core/task.ts'
import type { LowerLayer } from '../../native/index.ts'
import { WireWriter, writeLower } from '../../native/index.ts'
import { callTreeMode } from '../tree/tree-helper.ts'

const nowhere = ''

/** Shows a stack of layers, top first, read-only at a directory until somebody unmounts it. */
export async function mountLayers(lowers: readonly LowerLayer[], directory: string, task: Task): Promise<void> {
  const writer = new WireWriter().bytes(directory)
  writer.list(lowers, (lower) => { writeLower(writer, lower) })
  await callTreeMode({ mode: 'mount', request: writer.finish(), doing: 'mount', root: directory === nowhere ? '/' : directory }, task)
}

/** Mounts a stack where nobody sees it and lets it go. */
export async function tryMount(lowers: readonly LowerLayer[], task: Task): Promise<void> {
  await mountLayers(lowers, nowhere, task)
}
