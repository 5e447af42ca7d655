import type { Task } from '../../core/task.ts'
import { WireWriter } from '../../native/index.ts'
import type { OverlayXattrs } from './tree-helper.ts'
import { callTreeMode } from './tree-helper.ts'

/** Puts the upperdir that fuse-overlayfs has left into the form that overlayfs gives one. Once more changes nothing. */
export async function settleTree(tree: { readonly root: string; readonly upperdir: string; readonly xattrs: OverlayXattrs }, task: Task): Promise<void> {
  const request = new WireWriter().bytes(tree.upperdir).flag(tree.xattrs === 'user').finish()
  await callTreeMode({ mode: 'settle', request, doing: 'settle', root: tree.root }, task)
}
