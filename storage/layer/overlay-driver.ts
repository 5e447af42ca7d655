import { chmodSync, readdirSync, rmdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isErrno } from '../../core/errors.ts'
import type { Task } from '../../core/task.ts'
import type { ChainId } from '../../oci/digest.ts'
import type { Layer, Snapshot } from '../layer-store.ts'
import { makeDirectories } from '../root/explain-full.ts'
import type { Session } from '../root/session.ts'
import { discard } from '../root/session.ts'
import type { OverlayXattrs } from '../tree/tree-helper.ts'
import { settleTree } from '../tree/settle-tree.ts'
import { addLayer } from './add-layer.ts'
import { clearWorkdir } from './clear-workdir.ts'
import { emptyLayer } from './changeset/empty-changeset.ts'
import { KeptMount } from './kept-mount.ts'
import type { LayerContext } from './layer-context.ts'
import type { ChangedTree } from './layer-format.ts'
import type { SnapshotDriver } from './snapshot-driver.ts'
import type { StoredLayer } from './stored-layer.ts'

/** The kernel's limit is 500, and the runtime adds a layer of mount points. @see 0011-mount-points-in-a-stub-layer.md */
const mostLowers = 499

export interface Mounting {
  readonly session: Session
  readonly xattrs: OverlayXattrs
  /** fuse-overlayfs, where the runtime mounts with that; else the kernel's overlayfs. @see docs/decisions/0028-snapshots-by-fuse-overlayfs.md */
  readonly program: string | undefined
}

interface Unused {
  readonly dir: string
  readonly keeper: KeptMount
  /** Whether its folders are there and its mount is kept. */
  readonly isComplete: boolean
}

/**
 * Snapshots as upperdir and workdir of an overlay that the runtime mounts. The root directory is root's with mode 0755
 * in every one, and a changeset says nothing about it: so it is for Docker, whatever the layers say and whatever a process
 * does to it.
 */
export class OverlayDriver implements SnapshotDriver {
  readonly #context: LayerContext
  readonly #mounting: Mounting
  readonly #copying: SnapshotDriver
  /** Snapshots that were left as they had been made. They end with the session, as all do. */
  readonly #unused: Unused[] = []

  /** @param copying makes the snapshots of more layers than overlayfs takes */
  constructor(context: LayerContext, mounting: Mounting, copying: SnapshotDriver) {
    this.#context = context
    this.#mounting = mounting
    this.#copying = copying
  }

  /** Lets go of the mounts that are kept. */
  close(): void {
    for (const { keeper } of this.#unused) keeper.close()
  }

  async prepare(parent: ChainId | undefined): Promise<Snapshot> {
    const stack = this.#context.records.visibleStack(parent)
    return stack.length > mostLowers && this.#mounting.program === undefined ? await this.#copying.prepare(parent) : this.#create(parent, stack)
  }

  #create(parent: ChainId | undefined, stack: readonly StoredLayer[]): Snapshot {
    const context = this.#context
    const { layout } = context
    const { session, xattrs, program } = this.#mounting
    const lowers = context.lowers.mountable(stack)
    const unused = this.#unused.pop()
    const dir = unused?.dir ?? session.createDirId()
    const folder = layout.snapshot(dir)
    const [upperdir, workdir] = [join(folder, 'fs'), join(folder, 'work')]
    const keeper = unused?.keeper ?? new KeptMount(upperdir, workdir)
    if (unused?.isComplete !== true) {
      makeDirectories(layout.root, unused === undefined ? [folder, upperdir, workdir] : [upperdir])
      chmodSync(upperdir, 0o755)
      keeper.begin()
    }
    let isOver = false
    const changes = async (task: Task): Promise<string> => {
      if (program !== undefined) await settleTree({ root: layout.root, upperdir, xattrs }, task)
      return upperdir
    }
    return {
      rootfs: { kind: 'overlay', lowers, upper: { upperdir, workdir }, xattrs, ...(program === undefined ? { keeper } : { program }) },
      changes,
      commit: async (task) => {
        const tree = { dir, upperdir: await changes(task), parent }
        const isComplete = keeper.isUnchanged()
        if (!isComplete) keeper.close()
        if (program !== undefined || (!isComplete && !clearUnused(upperdir, workdir))) return await commitUpperdir(context, tree, task)
        isOver = true
        this.#unused.push({ dir, keeper, isComplete })
        return addLayer(context, parent, emptyLayer)
      },
      // Once committed nothing is left of it, or another has it.
      [Symbol.asyncDispose]: () => {
        if (isOver) return Promise.resolve()
        keeper.close()
        discard(layout, folder)
        return Promise.resolve()
      },
    }
  }
}

/**
 * Removes what the kernel left in the workdir, and the upperdir when it is empty, so that the folder around them serves
 * another snapshot: making one and having it deleted in the end takes a millisecond. @returns whether it does
 */
function clearUnused(upperdir: string, workdir: string): boolean {
  try {
    if (!clearWorkdir(workdir)) return false
    rmdirSync(upperdir)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY')) return false
    throw error
  }
}

/** Makes a layer of what is in a snapshot's upperdir, and an end of the snapshot's folder, which that lies in. */
export async function commitUpperdir(context: LayerContext, tree: ChangedTree, task: Task): Promise<Layer> {
  const layer = readdirSync(tree.upperdir, 'buffer').length === 0 ? emptyLayer : await context.format.commit(tree, task)
  discard(context.layout, dirname(tree.upperdir))
  return addLayer(context, tree.parent, layer)
}
