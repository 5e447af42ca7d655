import { chmodSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../../core/task.ts'
import type { ChainId } from '../../oci/digest.ts'
import { createDigester, digestAsDiffId } from '../../oci/digest.ts'
import type { Snapshot } from '../layer-store.ts'
import { makeDirectories } from '../root/explain-full.ts'
import { discard } from '../root/session.ts'
import type { PackedTree, PackRequest } from '../tree/pack-tree.ts'
import { packTree } from '../tree/pack-tree.ts'
import { emptyLayer } from './changeset/empty-changeset.ts'
import type { LayerContext } from './layer-context.ts'
import type { LoneLayer } from './stored-layer.ts'
import { addLayer } from './unpack-layer.ts'

/**
 * The root directory is root's with mode 0755 in every snapshot, and a changeset says nothing about it: so it is for
 * Docker, whatever the layers say and whatever a process does to it.
 * @throws {LayerMissing}
 */
export function createSnapshot(context: LayerContext, parent: ChainId | undefined): Snapshot {
  const { layout, session, records, xattrs } = context
  const lowers = records.lowerDirectories(parent)
  const dir = session.createDirId()
  const folder = layout.snapshot(dir)
  const upperdir = join(folder, 'fs')
  makeDirectories(layout.root, [folder, upperdir, join(folder, 'work')])
  chmodSync(upperdir, 0o755)
  return {
    rootfs: { kind: 'overlay', lowers: lowers.map((path) => ({ kind: 'directory', path })), upper: { upperdir, workdir: join(folder, 'work') }, xattrs },
    commit: async (task) => {
      const request = { root: layout.root, directory: upperdir, xattrs, hasRoot: false, opaqueMarks: 'where-they-hide', lowers } as const
      const layer = readdirSync(upperdir, 'buffer').length === 0 ? emptyLayer : await pack(request, dir, task)
      if (layer.dir !== undefined) renameSync(upperdir, layout.layer(layer.dir))
      discard(layout, folder)
      return addLayer(context, parent, layer)
    },
    // Once committed nothing is left of it.
    [Symbol.asyncDispose]: () => {
      discard(layout, folder)
      return Promise.resolve()
    },
  }
}

async function pack(request: PackRequest, dir: string, task: Task): Promise<LoneLayer> {
  const digester = createDigester()
  const { tarBytes, diskBytes, inodes } = await digestAll(packTree(request, task), (chunk) => { digester.update(chunk) })
  return { diffId: digestAsDiffId(digester.finish()), dir, origin: 'committed', hasRoot: false, hidesBelow: false, tarBytes, diskBytes, inodes }
}

async function digestAll(packing: AsyncGenerator<Uint8Array, PackedTree, undefined>, update: (chunk: Uint8Array) => void): Promise<PackedTree> {
  for (;;) {
    const next = await packing.next()
    if (next.done === true) return next.value
    update(next.value)
  }
}
