import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import { createTask } from '../../core/task.ts'
import type { ChainId } from '../../oci/digest.ts'
import type { Layer, Snapshot } from '../layer-store.ts'
import { makeDirectories } from '../root/explain-full.ts'
import type { Session } from '../root/session.ts'
import { discard } from '../root/session.ts'
import type { CopiedTree } from '../tree/copy-tree.ts'
import { copyLayers, extractChanges } from '../tree/copy-tree.ts'
import type { OverlayXattrs } from '../tree/tree-helper.ts'
import type { LayerContext } from './layer-context.ts'
import { commitUpperdir } from './overlay-driver.ts'
import type { SnapshotDriver } from './snapshot-driver.ts'

/** Snapshots as full copies of the layers below, for where nothing of the kind of overlayfs can be mounted. */
export class VfsDriver implements SnapshotDriver {
  readonly #context: LayerContext
  readonly #session: Session
  readonly #xattrs: OverlayXattrs

  constructor(context: LayerContext, mounting: { readonly session: Session; readonly xattrs: OverlayXattrs }) {
    this.#context = context
    this.#session = mounting.session
    this.#xattrs = mounting.xattrs
  }

  async prepare(parent: ChainId | undefined): Promise<Snapshot> {
    const { layout, records, lowers } = this.#context
    const stack = lowers.mountable(records.visibleStack(parent))
    const dir = this.#session.createDirId()
    const folder = layout.snapshot(dir)
    const [directory, upperdir] = [join(folder, 'tree'), join(folder, 'fs')]
    makeDirectories(layout.root, [folder, directory, upperdir])
    for (const path of [directory, upperdir]) chmodSync(path, 0o755)
    const tree: CopiedTree = { root: layout.root, directory, start: join(folder, 'start'), xattrs: this.#xattrs, lowers: stack }
    try {
      await copyLayers(tree, createTask())
    } catch (error) {
      discard(layout, folder)
      throw error
    }
    return this.#snapshot(tree, { dir, upperdir, folder, parent })
  }

  #snapshot(tree: CopiedTree, { dir, upperdir, folder, parent }: Place): Snapshot {
    const { layout } = this.#context
    let extracted: Promise<void> | undefined
    const changes = async (task: Task): Promise<string> => {
      await (extracted ??= extractChanges(tree, upperdir, task))
      return upperdir
    }
    return {
      rootfs: { kind: 'directory', path: tree.directory, start: tree.start },
      changes,
      commit: async (task): Promise<Layer> => {
        await changes(task)
        return await commitUpperdir(this.#context, { dir, upperdir, parent }, task)
      },
      [Symbol.asyncDispose]: () => {
        discard(layout, folder)
        return Promise.resolve()
      },
    }
  }
}

interface Place {
  readonly dir: string
  readonly upperdir: string
  readonly folder: string
  readonly parent: ChainId | undefined
}
