import type { Task } from '../../core/task.ts'
import type { LowerLayer } from '../../native/index.ts'
import { WireWriter, writeLower } from '../../native/index.ts'
import type { OverlayXattrs } from './tree-helper.ts'
import { callTreeMode } from './tree-helper.ts'

/** A plain folder with everything that layers show. */
export interface CopiedTree {
  readonly root: string
  readonly directory: string
  /** Its modification time says up to when the kernel's time stamps in the folder are not a process's work. */
  readonly start: string
  readonly xattrs: OverlayXattrs
  /** Top first. */
  readonly lowers: readonly LowerLayer[]
}

/** Fills the folder, which is empty. Blocks are shared with the layers where the filesystem can. */
export async function copyLayers(tree: CopiedTree, task: Task): Promise<void> {
  await callTreeMode({ mode: 'flatten', request: write(tree).finish(), doing: 'copy layers to', root: tree.root }, task)
}

/** Moves what was changed since the start to an empty folder, in the form of an overlay upperdir. The tree is used up. */
export async function extractChanges(tree: CopiedTree, upperdir: string, task: Task): Promise<void> {
  await callTreeMode({ mode: 'extract', request: write(tree).bytes(upperdir).finish(), doing: 'compare', root: tree.root }, task)
}

function write({ directory, start, xattrs, lowers }: CopiedTree): WireWriter {
  const writer = new WireWriter().bytes(directory).bytes(start).flag(xattrs === 'user')
  return writer.list(lowers, (lower) => { writeLower(writer, lower) })
}
