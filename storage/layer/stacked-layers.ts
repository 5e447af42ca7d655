import type { Task } from '../../core/task.ts'
import { createTask } from '../../core/task.ts'
import type { PipeReader } from '../../native/index.ts'
import { pourBytes } from '../../native/index.ts'
import type { ChainId, DiffId } from '../../oci/digest.ts'
import { chainId as computeChainId, createDigester, digestAsDiffId } from '../../oci/digest.ts'
import { LayerDamaged } from '../errors.ts'
import type { Layer, LayerStore, LowerLayer, RootfsView, Snapshot } from '../layer-store.ts'
import { addLayer } from './add-layer.ts'
import { emptyChangeset } from './changeset/empty-changeset.ts'
import { PackedChangeset } from './changeset/pack-changeset.ts'
import { maxChangesetBytes } from './layer-blobs.ts'
import type { LayerContext } from './layer-context.ts'
import type { UnpackWork } from './layer-format.ts'
import type { LayerSync } from './layer-sync.ts'
import type { SnapshotDriver } from './snapshot-driver.ts'
import type { LoneLayer } from './stored-layer.ts'

/** The layers of a store, kept in its format, with snapshots by its driver. */
export class StackedLayers implements LayerStore {
  readonly #context: LayerContext
  readonly #driver: SnapshotDriver
  readonly #sync: LayerSync

  constructor(context: LayerContext, driver: SnapshotDriver, sync: LayerSync) {
    this.#context = context
    this.#driver = driver
    this.#sync = sync
  }

  find(chainId: ChainId): Layer | undefined {
    return this.#context.records.find(chainId)
  }

  // eslint-disable-next-line max-params -- the interface's
  async apply(parent: ChainId | undefined, changeset: AsyncIterable<Uint8Array>, expected: DiffId | undefined, task: Task): Promise<Layer> {
    const { records } = this.#context
    const lowers = records.visibleStack(parent)
    const found = expected === undefined ? undefined : records.find(computeChainId(parent, expected))
    if (found !== undefined) {
      await changeset[Symbol.asyncIterator]().return?.()
      return found
    }
    const work = { changeset, expected, isBottom: parent === undefined, lowers }
    const layer = await this.#unpackOwnOrForeign(work, task)
    return addLayer(this.#context, parent, layer)
  }

  async prepare(parent: ChainId | undefined): Promise<Snapshot> {
    const { records, verifier } = this.#context
    if (verifier !== undefined) await verifier.verify(records.visibleStack(parent), createTask())
    return this.#driver.prepare(parent)
  }

  async* changeset(chainId: ChainId, task: Task): AsyncGenerator<Uint8Array, void, undefined> {
    const { records, format } = this.#context
    const layer = records.get(chainId)
    const digester = createDigester()
    for await (const chunk of layer.dir === undefined ? emptyStream() : await format.changeset(layer, task)) {
      digester.update(chunk)
      yield chunk
    }
    const diffId = digestAsDiffId(digester.finish())
    if (diffId !== layer.diffId) throw new LayerDamaged(layer, diffId)
  }

  /** The changeset, read by somebody else, who compares the diffID. */
  async pour(chainId: ChainId, read: PipeReader, task: Task): Promise<void> {
    const { records, format } = this.#context
    const layer = records.get(chainId)
    await (layer.dir === undefined ? pourBytes(emptyStream(), read) : format.pour(layer, read, task))
  }

  view(chainId: ChainId | undefined): RootfsView {
    const { records, lowers } = this.#context
    return lowers.view(records.visibleStack(chainId))
  }

  lowers(chainId: ChainId | undefined): readonly LowerLayer[] {
    const { records, lowers } = this.#context
    return lowers.mountable(records.visibleStack(chainId))
  }

  async sync(task: Task): Promise<void> {
    await this.#sync.run(task)
  }

  #unpackOwnOrForeign(work: Omit<UnpackWork, 'origin'>, task: Task): Promise<LoneLayer> {
    if (work.changeset instanceof PackedChangeset) return this.#unpack({ ...work, origin: 'packed', entries: work.changeset.entries }, task)
    return this.#context.format.keepsTars ? this.#unpack({ ...work, origin: 'foreign' }, task) : this.#unpackAndKeep(work, task)
  }

  async #unpack(work: UnpackWork, task: Task): Promise<LoneLayer> {
    const layer = await this.#context.format.unpack(work, task)
    if (layer === undefined) throw new TypeError('the helper asked for lower layers that it had')
    return layer
  }

  /** Nobody can say how somebody else's tar was written, so its bytes are kept beside the tree. */
  async #unpackAndKeep(work: Omit<UnpackWork, 'origin'>, task: Task): Promise<LoneLayer> {
    const { blobs, layerBlobs } = this.#context
    const copy = await blobs.createWriter({ algorithm: 'sha256', maxBytes: maxChangesetBytes })
    try {
      const layer = await this.#unpack({ ...work, changeset: copying(work.changeset, (chunk) => copy.write(chunk)), origin: 'foreign' }, task)
      if (layer.origin === 'foreign') layerBlobs.remember(layer.diffId, 'none', (await copy.publish()).digest)
      return layer
    } finally {
      await copy.discard()
    }
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- a stream of one chunk
async function* emptyStream(): AsyncGenerator<Uint8Array, void, undefined> {
  yield emptyChangeset
}

async function* copying(bytes: AsyncIterable<Uint8Array>, copy: (chunk: Uint8Array) => Promise<void>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) {
    const copied = copy(chunk)
    try {
      yield chunk
    } finally {
      await copied
    }
  }
}
