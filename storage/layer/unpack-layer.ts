import { chmodSync } from 'node:fs'
import type { Task } from '../../core/task.ts'
import type { ChainId, DiffId, Digester } from '../../oci/digest.ts'
import { chainId as computeChainId, createDigester, digestAsDiffId } from '../../oci/digest.ts'
import { DiffIdMismatch } from '../errors.ts'
import { makeDirectories } from '../root/explain-full.ts'
import { discard } from '../root/session.ts'
import { unpackTree } from '../tree/unpack-tree.ts'
import { emptyLayer } from './changeset/empty-changeset.ts'
import { maxChangesetBytes } from './layer-blobs.ts'
import type { LayerContext } from './layer-context.ts'
import type { LayerOrigin, LoneLayer, StoredLayer } from './stored-layer.ts'

export interface UnpackWork {
  readonly changeset: AsyncIterable<Uint8Array>
  readonly expected: DiffId | undefined
  readonly origin: LayerOrigin
  readonly isBottom: boolean
  /** Directories of the layers below, top first; undefined while they are still on their way. */
  readonly lowers: readonly string[] | undefined
}

/**
 * Unpacks a changeset into a directory of its own and computes its diffID on the way.
 * @returns undefined when that takes the layers below, which were not given
 * @throws {HostileArchive} @throws {DiffIdMismatch}
 */
export async function unpackLayer(context: LayerContext, work: UnpackWork, task: Task): Promise<LoneLayer | undefined> {
  const { layout, session, xattrs } = context
  const dir = session.createDirId()
  const directory = layout.layer(dir)
  makeDirectories(layout.root, [directory])
  chmodSync(directory, 0o755)
  const count = { digester: createDigester(), tarBytes: 0 }
  let isKept = false
  try {
    const outcome = await unpackTree({
      root: layout.root,
      directory,
      xattrs,
      makesWhiteouts: !work.isBottom || work.origin === 'packed',
      maxBytes: maxChangesetBytes,
      lowers: work.lowers,
    }, counting(work.changeset, count), task)
    if (outcome.kind === 'needs-lowers') return undefined
    const diffId = digestAsDiffId(count.digester.finish())
    if (work.expected !== undefined && work.expected !== diffId) throw new DiffIdMismatch(work.expected, diffId)
    if (diffId === emptyLayer.diffId) return emptyLayer
    isKept = true
    const { hasRoot, hidesBelow, diskBytes, inodes } = outcome
    return { diffId, dir, origin: work.origin, hasRoot, hidesBelow, tarBytes: count.tarBytes, diskBytes, inodes }
  } finally {
    if (!isKept) discard(layout, directory)
  }
}

/** Gives a layer its place. An equal one that is there already is kept instead. Its parent must be known. */
export function addLayer(context: LayerContext, parent: ChainId | undefined, layer: LoneLayer): StoredLayer {
  const { layout, records } = context
  const chainId = computeChainId(parent, layer.diffId)
  const directory = layer.dir === undefined ? undefined : layout.layer(layer.dir)
  const found = records.find(chainId)
  if (found !== undefined) {
    if (directory !== undefined) discard(layout, directory)
    return found
  }
  const added = { ...layer, chainId, parent }
  records.add(added)
  return added
}

async function* counting(bytes: AsyncIterable<Uint8Array>, count: { readonly digester: Digester; tarBytes: number }): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) {
    count.tarBytes += chunk.byteLength
    count.digester.update(chunk)
    yield chunk
  }
}
