import { chmodSync, renameSync } from 'node:fs'
import type { Task } from '../../core/task.ts'
import type { PipeReader } from '../../native/index.ts'
import { pourBytes } from '../../native/index.ts'
import type { Digester } from '../../oci/digest.ts'
import { createDigester, digestAsDiffId } from '../../oci/digest.ts'
import { DiffIdMismatch, LayerDamaged } from '../errors.ts'
import { makeDirectories } from '../root/explain-full.ts'
import type { Layout } from '../root/layout.ts'
import type { Session } from '../root/session.ts'
import { discard } from '../root/session.ts'
import type { PackedTree, PackRequest } from '../tree/pack-tree.ts'
import { packTree, pourTree } from '../tree/pack-tree.ts'
import type { OverlayXattrs } from '../tree/tree-helper.ts'
import { unpackTree } from '../tree/unpack-tree.ts'
import { emptyLayer } from './changeset/empty-changeset.ts'
import type { LayerBlobs } from './layer-blobs.ts'
import { maxChangesetBytes, maxChangesetSeconds } from './layer-blobs.ts'
import type { LowerLayers } from './lower-layers.ts'
import type { ChangedTree, LayerFormat, UnpackWork } from './layer-format.ts'
import type { LayerRecords } from './layer-records.ts'
import type { LoneLayer, StoredLayer } from './stored-layer.ts'

interface Parts {
  readonly layout: Layout
  readonly session: Session
  readonly records: LayerRecords
  readonly layerBlobs: LayerBlobs
  readonly lowers: LowerLayers
  readonly xattrs: OverlayXattrs
}

/** Layers as directories, in the form that overlayfs takes for a lower directory. */
export class OverlayFormat implements LayerFormat {
  readonly keepsTars = false
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async unpack(work: UnpackWork, task: Task): Promise<LoneLayer | undefined> {
    const { layout, session, xattrs } = this.#parts
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
        maxSeconds: maxChangesetSeconds,
        lowers: work.lowers === undefined ? undefined : this.#parts.lowers.mountable(work.lowers),
      }, counting(await plain(work), count), task)
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

  async commit({ dir, upperdir, parent }: ChangedTree, task: Task): Promise<LoneLayer> {
    const { layout, records, xattrs } = this.#parts
    const lowers = this.#parts.lowers.mountable(records.visibleStack(parent))
    const digester = createDigester()
    const packing = packTree({ root: layout.root, directory: upperdir, xattrs, hasRoot: false, opaqueMarks: 'where-they-hide', lowers }, task)
    const { tarBytes, diskBytes, inodes } = await digestAll(packing, digester)
    renameSync(upperdir, layout.layer(dir))
    return { diffId: digestAsDiffId(digester.finish()), dir, origin: 'committed', hasRoot: false, hidesBelow: false, tarBytes, diskBytes, inodes }
  }

  async changeset(layer: StoredLayer, task: Task): Promise<AsyncIterable<Uint8Array>> {
    if (layer.origin !== 'foreign') return packTree(this.#describe(layer), task)
    const bytes = await this.#parts.layerBlobs.read(layer.diffId, task)
    if (bytes === undefined) throw new LayerDamaged(layer, undefined)
    return bytes
  }

  async pour(layer: StoredLayer, read: PipeReader, task: Task): Promise<void> {
    if (layer.origin === 'foreign') await pourBytes(await this.changeset(layer, task), read)
    else await pourTree(this.#describe(layer), read, task)
  }

  #describe(layer: StoredLayer): PackRequest {
    const { layout, records, xattrs } = this.#parts
    return {
      root: layout.root,
      directory: layout.layer(layer.dir ?? ''),
      xattrs,
      hasRoot: layer.hasRoot,
      opaqueMarks: layer.origin === 'packed' ? 'all' : 'where-they-hide',
      lowers: this.#parts.lowers.mountable(records.visibleStack(layer.parent)),
    }
  }

  /** Unpacks the changeset again and compares what is made of either tree: other layers are read by packing them anyway. */
  async isFaithful(layer: StoredLayer, task: Task): Promise<boolean> {
    const { layout, records } = this.#parts
    if (layer.origin !== 'foreign' || layer.dir === undefined) return true
    const again = await this.unpack({
      changeset: await this.changeset(layer, task), expected: layer.diffId, origin: 'foreign', isBottom: layer.parent === undefined, lowers: records.visibleStack(layer.parent),
    }, task)
    if (again?.dir === undefined) return again !== undefined
    try {
      return await this.#digestTree(layer.dir, task) === await this.#digestTree(again.dir, task)
    } finally {
      discard(layout, layout.layer(again.dir))
    }
  }

  async #digestTree(dir: string, task: Task): Promise<string> {
    const { layout, xattrs } = this.#parts
    const digester = createDigester()
    await digestAll(packTree({ root: layout.root, directory: layout.layer(dir), xattrs, hasRoot: false, opaqueMarks: 'all', lowers: [] }, task), digester)
    return digester.finish()
  }
}

/** What undoes compression is loaded where it is used: a build that finds everything in its cache starts without zlib. */
async function plain({ changeset, compression = 'none' }: UnpackWork): Promise<AsyncIterable<Uint8Array>> {
  if (compression === 'none') return changeset
  const { decode } = await import('../compression/decompress.ts')
  return decode({ compression, bytes: changeset }, maxChangesetBytes)
}

async function* counting(bytes: AsyncIterable<Uint8Array>, count: { readonly digester: Digester; tarBytes: number }): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) {
    count.tarBytes += chunk.byteLength
    count.digester.update(chunk)
    yield chunk
  }
}

async function digestAll(packing: AsyncGenerator<Uint8Array, PackedTree, undefined>, digester: Digester): Promise<PackedTree> {
  for (;;) {
    const next = await packing.next()
    if (next.done === true) return next.value
    digester.update(next.value)
  }
}
